"""What an application does with redis-py, against whatever answers at the port; says nothing unless it is wrong.

    redis_py.py PORT        every command, as with a Redis behind
    redis_py.py PORT basic  strings, keys, expiry, hashes, transactions and channels, which the embedded stores have too
"""
import sys
import threading

import redis


def basic(r):
    assert r.set("k", "v", ex=100) and r.get("k") == b"v" and 0 < r.ttl("k") <= 100
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "none") == [b"1", b"2", None]
    assert r.incr("a", 5) == 6 and r.append("k", "w") == 2 and r.getrange("k", 0, 0) == b"v"
    assert r.setnx("k", "x") is False and r.set("k", "x", xx=True, get=True) == b"vw"
    assert r.exists("k", "a", "none") == 2 and r.delete("k", "none") == 1 and r.get("k") is None
    assert r.expire("a", 50) and r.persist("a") and r.ttl("a") == -1
    binary = bytes(range(256)) * 5000
    assert r.set("binary", binary) and r.get("binary") == binary
    with r.pipeline(transaction=False) as p:
        for i in range(500):
            p.set(f"p{i}", i).get(f"p{i}")
        assert p.execute() == [x for i in range(500) for x in (True, str(i).encode())]
    try:
        r.incr("binary")
        assert False, "no error"
    except redis.ResponseError as error:
        assert "not an integer" in str(error)


def walks(r):
    fields = {f"f{i}".encode(): str(i).encode() for i in range(50)}
    assert r.hset("walked", mapping=fields) == 50 and dict(r.hscan_iter("walked", match="f*", count=10)) == fields
    assert r.hrandfield("walked") in fields and len(r.hrandfield("walked", -100)) == 100
    pairs = r.hrandfield("walked", 1000, True)
    assert dict(zip(pairs[::2], pairs[1::2])) == fields
    assert r.rename("walked", "renamed") and r.renamenx("renamed", "k2") and r.hlen("k2") == 50 and r.delete("k2") == 1


def types(r):
    assert r.hset("h", mapping={"f": 1, "g": 2}) == 2 and r.hgetall("h") == {b"f": b"1", b"g": b"2"}
    assert r.rpush("l", *range(10)) == 10 and r.lrange("l", -2, -1) == [b"8", b"9"]
    assert r.sadd("s", "m", "n") == 2 and r.smembers("s") == {b"m", b"n"}
    assert r.zadd("z", {"a": 1.5, "b": 2}) == 2 and r.zrange("z", 0, -1, withscores=True) == [(b"a", 1.5), (b"b", 2.0)]
    entry = r.xadd("st", {"f": "v"})
    assert r.xread({"st": 0}) == [[b"st", [(entry, {b"f": b"v"})]]]
    assert sorted(r.scan_iter(match="p1*", count=50)) == sorted(f"p{i}".encode() for i in range(500) if str(i)[0] == "1")
    assert r.type("z") == b"zset" and r.object("encoding", "a") is not None and r.dbsize() > 500


def transfer(p):
    p.multi()
    p.hset("account", "left", 1).hset("account", "right", 2)


def transactions(r, port):
    r.set("n", 5)
    with r.pipeline(transaction=True) as p:
        for i in range(500):
            p.set(f"t{i}", i).incr(f"t{i}").get("none")
        assert p.execute() == [x for i in range(500) for x in (True, i + 1, None)]
        p.set("text", "x").incr("text").set("text", "y")
        try:
            p.execute()
            assert False, "no error"
        except redis.ResponseError as error:
            assert "not an integer" in str(error)
        assert r.get("text") == b"y"
    with r.pipeline() as p:  # optimistic locking: the first attempt is overtaken
        attempts = 0
        while True:
            try:
                p.watch("n")
                seen = int(p.get("n"))
                attempts += 1
                if attempts == 1:
                    redis.Redis(port=port).incr("n")
                p.multi()
                p.set("n", seen * 2)
                p.execute()
                break
            except redis.WatchError:
                continue
    assert attempts == 2 and int(r.get("n")) == 12
    assert r.transaction(transfer, "account") == [1, 1]


def scripts(r):
    assert r.eval("return {KEYS[1], ARGV[1], 3}", 1, "key", "arg") == [b"key", b"arg", 3]
    script = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    r.delete("n")
    assert [script(keys=["n"], args=[2]), int(r.get("n")), script(keys=["n"], args=[3]), int(r.get("n"))] == [2, 2, 5, 5]
    with r.lock("lock", timeout=5, blocking_timeout=1):
        assert r.get("lock") is not None
    assert r.get("lock") is None


def channels(r):
    with r.pubsub(ignore_subscribe_messages=True) as sub:
        sub.subscribe("channel")
        sub.psubscribe("pat*")
        while r.pubsub_numsub("channel") != [(b"channel", 1)] or r.pubsub_numpat() == 0:
            sub.get_message(timeout=0.01)
        assert r.publish("channel", "one") == 1 and r.publish("pattern", "two") == 1
        heard = []
        while len(heard) < 2:
            message = sub.get_message(timeout=10)
            if message:
                heard.append(message["data"])
        assert heard == [b"one", b"two"]


def blocking(r, port):
    taken = []
    waiter = threading.Thread(target=lambda: taken.append(redis.Redis(port=port).blpop("queue", timeout=20)))
    waiter.start()
    r.rpush("queue", "element")
    waiter.join()
    assert taken == [(b"queue", b"element")]


def main():
    port = int(sys.argv[1])
    r = redis.Redis(port=port)
    basic(r)
    walks(r)
    transactions(r, port)
    channels(r)
    if sys.argv[2:] != ["basic"]:
        types(r)
        scripts(r)
        blocking(r, port)


main()
