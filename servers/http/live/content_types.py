"""Content-Type as it was put: content_types.py HTTP RESP [HTTP RESP] of one instance, or of two over one store. Prints what is
wrong."""
import json
import random
import socket
import sys
import threading
import time

from client import Client, expect, failures, leave

ports = [int(port) for port in sys.argv[1:]]
doors = list(zip(ports[::2], ports[1::2]))
DEFAULT = "application/octet-stream"
SIDECAR = "nearlane:type:{%s}"


class Resp:
    """One connection; words without spaces."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.lines = self.socket.makefile("rb")

    def ask(self, *words):
        self.socket.sendall(b" ".join(str(word).encode() for word in words) + b"\r\n")
        line = self.lines.readline().rstrip()
        if line[:1] != b"$" or line == b"$-1":
            return line.decode()
        return self.lines.read(int(line[1:]) + 2)[:-2].decode()

    def number(self, *words):
        return int(self.ask(*words)[1:])


def seen(http, key="k"):
    answer, body = http.ask("GET", "/cache/" + key)
    return answer.status, answer.getheader("Content-Type"), body


def await_type(what, http, wanted, key="k"):
    """Others hear of it within a lease, on a machine that may be busy."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        got = seen(http, key)[1]
        if got == wanted:
            return
        time.sleep(0.005)
    expect(what, got, wanted)


def await_l1(what, http, wanted, key="k"):
    """Where instances tell each other, L1 serves once it has heard itself."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        answer, _ = http.ask("GET", "/cache/" + key)
        if answer.getheader("X-Cache") == "L1":
            break
    expect(what, (answer.getheader("X-Cache"), answer.getheader("Content-Type")), ("L1", wanted))


def check_meaning(http, resp, other, other_resp):
    side = SIDECAR % "k"
    expect("PUT", http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/html; charset=utf-8")[0].status, 201)
    answer, body = http.ask("GET", "/cache/k")
    expect("at once", (answer.getheader("Content-Type"), body), ("text/html; charset=utf-8", b"<p>"))
    await_l1("from L1", http, "text/html; charset=utf-8")
    expect("HEAD", http.ask("HEAD", "/cache/k")[0].getheader("Content-Type"), "text/html; charset=utf-8")
    expect("elsewhere", seen(other), (200, "text/html; charset=utf-8", b"<p>"))
    expect("RESP", resp.ask("GET", "k"), "<p>")
    expect("kept", resp.number("EXISTS", side), 1)
    # Another type with the same value, put elsewhere.
    other.ask("PUT", "/cache/k", b"<p>", Content_Type="text/plain")
    await_type("another type", http, "text/plain")
    other.ask("PUT", "/cache/k", b"<p>")
    await_type("no type", http, DEFAULT)
    expect("let go", resp.number("EXISTS", side), 0)
    # What others write over RESP has the type of its key; what was put with exactly this value comes back with it.
    http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/html")
    expect("SET", other_resp.ask("SET", "k", "other"), "+OK")
    await_type("SET elsewhere", http, DEFAULT)
    expect("SET here", (resp.ask("SET", "k", "another"), seen(http)[1:]), ("+OK", (DEFAULT, b"another")))
    expect("seen elsewhere", seen(other)[1], DEFAULT)
    resp.ask("DEL", "k")
    expect("gone", seen(http)[0], 404)
    other_resp.ask("SET", "k", "<p>")
    if other is not http:  # an instance does not ask L2 what it has said itself
        await_type("the same again", http, "text/html")
    # What is read over RESP first.
    http.ask("PUT", "/cache/r", b"v", Content_Type="text/css")
    expect("read over RESP", other_resp.ask("GET", "r"), "v")
    expect("and then over HTTP", seen(other, "r")[1], "text/css")
    await_l1("which L1 knows now", other, "text/css", "r")
    # They end together.
    http.ask("PUT", "/cache/k?ttl=100", b"<p>", Content_Type="text/html")
    expect("one end", abs(resp.number("PTTL", "k") - resp.number("PTTL", side)) < 1000, True)
    expect("touch", http.ask("POST", "/cache/k/touch?ttl=500")[0].status, 204)
    expect("touched", resp.number("TTL", side) > 400, True)
    await_type("still", other, "text/html")
    http.ask("PUT", "/cache/k?px=300", b"<p>", Content_Type="text/html")
    until = time.monotonic() + 20
    while seen(http)[0] != 404 and time.monotonic() < until:
        time.sleep(0.01)
    expect("over", seen(http)[0], 404)
    time.sleep(0.01)
    expect("over as well", resp.number("EXISTS", side), 0)
    http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/html")
    expect("DELETE", http.ask("DELETE", "/cache/k")[0].status, 204)
    expect("both", resp.number("EXISTS", side), 0)
    http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/html")
    http.ask("POST", "/cache:batch", json.dumps({"operations": [{"set": "k", "value": "<p>"}]}))
    expect("a batch", seen(http)[1], DEFAULT)
    # Writes that depend on the value.
    tag = http.ask("GET", "/cache/k")[0].getheader("ETag")
    expect("If-Match", http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/a", If_Match=tag)[0].status, 204)
    expect("put so", seen(http)[1], "text/a")
    expect("*", http.ask("PUT", "/cache/k", b"<p>", Content_Type="text/b", If_None_Match="*")[0].status, 412)
    expect("not put", seen(http)[1], "text/a")
    expect("DELETE if", http.ask("DELETE", "/cache/k", If_Match=tag)[0].status, 204)
    expect("both again", resp.number("EXISTS", side), 0)
    answer, body = http.ask("PUT", "/cache/k", b"<p>", Content_Type="text")
    expect("none", (answer.status, answer.getheader("Content-Type")), (400, "application/problem+json"))
    expect("nothing", seen(http)[0], 404)
    # Keys with braces, and one that is written to by its bytes.
    for key in ("%7B", "%7D", "%7B%7D", "a%7Db", "%7Bt%7Da", "%7B%7Dx", "%00%0D%0A%FF"):
        http.ask("PUT", "/cache/" + key, b"v", Content_Type="text/x")
        expect(key, seen(other, key)[1], "text/x")
        http.ask("DELETE", "/cache/" + key)
    http.ask("DELETE", "/cache/r")


def type_for(body):
    """Each body names its type."""
    return "text/" + body.split(b":")[0].decode() if body.startswith(b"t") else DEFAULT


def check_races(seconds):
    """Whatever is answered with a value was put with it."""
    end = time.monotonic() + seconds
    keys = [f"race:{number}" for number in range(3)]
    answers = []

    def write(door, seed):
        http, resp, chance, number = Client(door[0]), Resp(door[1]), random.Random(seed), 0
        while time.monotonic() < end:
            number += 1
            key, unique = chance.choice(keys), f":{seed}:{number}".encode()
            how = chance.randrange(8)
            # Few values, so that some are written again with another one between.
            body = b"t%d" % chance.randrange(3) + (unique if how < 3 else b":again")
            if how < 4:
                http.ask("PUT", "/cache/" + key, body, Content_Type=type_for(body))
            elif how == 4:
                http.ask("PUT", "/cache/" + key, body, Content_Type=type_for(body), If_Match="*")
            elif how == 5:
                http.ask("PUT", "/cache/" + key, b"u" + unique)
            elif how == 6:
                resp.ask("SET", key, "r" + unique.decode())
            elif chance.randrange(2):
                http.ask("DELETE", "/cache/" + key)
            else:
                http.ask("POST", f"/cache/{key}/touch?ttl=100")

    def read(door, seed):
        http, resp, chance, count = Client(door[0]), Resp(door[1]), random.Random(seed), 0
        while time.monotonic() < end:
            key = chance.choice(keys)
            if chance.randrange(3) == 0:
                resp.ask("GET", key)  # L1 may know no type then
            status, got, body = seen(http, key)
            if status == 200:
                count += 1
                if got != type_for(body):
                    failures.append(f"{body!r} as {got}")
                    return
            elif status != 404:
                failures.append(f"{status}: {body!r}")
                return
        answers.append(count)

    threads = [threading.Thread(target=what, args=(door, 10 * seed + index))
               for seed, what in enumerate((write, write, read, read)) for index, door in enumerate(doors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not failures:
        expect("answers", sum(answers) > 100, True)
    for key in keys:
        Client(doors[0][0]).ask("DELETE", "/cache/" + key)


here = Client(doors[0][0]), Resp(doors[0][1])
check_meaning(*here, *((Client(doors[1][0]), Resp(doors[1][1])) if len(doors) > 1 else here))
check_races(2)
expect("what is left", here[1].number("DBSIZE"), 0)
leave()
