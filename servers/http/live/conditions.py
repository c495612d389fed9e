"""Writes that depend on an entity tag: conditions.py PORT PORT… of instances over one store. Prints what is wrong."""
import itertools
import sys
import threading

from client import Client, expect, failures, leave

ports = [int(port) for port in sys.argv[1:]]
PADDING = b"," * 400  # so that it has compressed forms, too


def check_alone(port):
    one = Client(port)
    path = "/cache/alone"
    status = lambda *args, **headers: one.ask(*args, **headers)[0].status
    expect("If-Match of nothing", status("PUT", path, b"x", If_Match='"1"'), 412)
    expect("If-None-Match of nothing", status("PUT", path, b"one", If_None_Match='"1"'), 201)
    tag = one.ask("GET", path)[0].getheader("ETag")
    expect("another tag", status("PUT", path, b"two", If_Match='"1", "2"'), 412)
    expect("a weak tag", status("PUT", path, b"two", If_Match="W/" + tag), 412)
    expect("not its own", status("PUT", path, b"two", If_None_Match=tag), 412)
    expect("unchanged so far", one.ask("GET", path)[1], b"one")
    answer, _ = one.ask("PUT", path + "?ttl=60", b"two", If_Match='"1", ' + tag)
    expect("its own", answer.status, 204)
    got, body = one.ask("GET", path)
    expect("what was written", (body, got.getheader("ETag")), (b"two", answer.getheader("ETag")))
    expect("an old tag", status("PUT", path, b"three", If_Match=tag), 412)
    expect("either", status("PUT", path, b"three", If_Match="*", If_None_Match=tag), 204)
    expect("or", status("PUT", path, b"four", If_Match="*", If_None_Match="*"), 412)
    expect("DELETE of another", status("DELETE", path, If_Match=tag), 412)
    expect("DELETE unless", status("DELETE", path, If_None_Match="*"), 412)
    tag = one.ask("GET", path)[0].getheader("ETag")
    expect("DELETE", status("DELETE", path, If_Match=tag), 204)
    expect("DELETE again", status("DELETE", path, If_Match=tag), 412)
    expect("DELETE of nothing", status("DELETE", path, If_None_Match='"x"'), 404)
    # Two lines are one list.
    one.connection.putrequest("PUT", path)
    for name, text in (("If-None-Match", '"x"'), ("If-None-Match", '"y"'), ("Content-Length", "1")):
        one.connection.putheader(name, text)
    one.connection.endheaders(b"v")
    answer, _ = one.answer()
    expect("two lines", answer.status, 201)
    expect("touch", status("POST", path + "/touch?ttl=5", If_Match='"x"'), 501)


def add(port, times, lost_races, accept):
    """Adds to the counter so often, each time from what it has read."""
    one = Client(port)
    done = 0
    while done < times:
        answer, body = one.ask("GET", "/cache/counter", Accept_Encoding="identity")
        # Any form's tag is one of the value.
        head, _ = one.ask("HEAD", "/cache/counter", Accept_Encoding=accept)
        tag = answer.getheader("ETag")
        if head.getheader("ETag")[:17] == tag[:17]:
            tag = head.getheader("ETag")
        number = int(body.split(b",")[0]) + 1
        written, _ = one.ask("PUT", "/cache/counter", b"%d" % number + PADDING, If_Match=tag)
        if written.status == 204:
            done += 1
        elif written.status == 412:
            next(lost_races)
        else:
            failures.append(f"PUT: {written.status}")
            return


def check_races():
    first = Client(ports[0])
    expect("begin", first.ask("PUT", "/cache/counter", b"0" + PADDING)[0].status, 201)
    lost_races = itertools.count()
    each = 60
    threads = [threading.Thread(target=add, args=(port, each, lost_races, accept))
               for port in ports for accept in ("identity", "br, gzip;q=0.5")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect("lost races", next(lost_races) > 0, True)
    for port in ports:
        answer, body = Client(port).ask("GET", "/cache/counter")
        expect("updates", int(body.split(b",")[0]), each * len(threads))


def check_first_come():
    """Of many who make the same key, one does."""
    for number in range(20):
        seen = []

        def make(port, path=f"/cache/made:{number}"):
            seen.append(Client(port).ask("PUT", path, b"v", If_None_Match="*")[0].status)

        threads = [threading.Thread(target=make, args=(port,)) for port in ports * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect("makers", sorted(seen), [201] + [412] * (len(threads) - 1))


for port in ports:
    check_alone(port)
    Client(port).ask("DELETE", "/cache/alone")
check_races()
check_first_come()
leave()
