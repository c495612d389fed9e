"""A client of Python's standard library reads compressed forms: forms.py PORT WHICH. Prints what is wrong."""
import gzip
import sys
import time

from client import Client, expect, leave

which = sys.argv[2]
ask = Client(sys.argv[1]).ask
value = b"".join(b'{"sku":"%d","count":%d},' % (i * 7919, i % 9) for i in range(400))


def metric(name):
    page = ask("GET", "/metrics")[1].decode()
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


def await_work(outcome, number):
    """The work is behind the writer's back, so it may take a moment."""
    until = time.monotonic() + 20
    while metric('nearlane_precompressions_total{outcome="%s"}' % outcome) < number:
        if time.monotonic() > until:
            expect("precompressions " + outcome, "nothing", number)
            return
        time.sleep(0.01)


def forms(path):
    """What each Accept-Encoding gets: coding, tag and body."""
    out = {}
    for accept in ("identity", "gzip", "br", "gzip, br;q=0.5"):
        answer, body = ask("GET", path, Accept_Encoding=accept)
        expect(accept, answer.status, 200)
        expect("Vary", answer.getheader("Vary"), "Accept-Encoding")
        expect("length", int(answer.getheader("Content-Length")), len(body))
        out[accept] = (answer.getheader("Content-Encoding"), answer.getheader("ETag"), body)
    return out


def check_forms(path, body):
    seen = forms(path)
    expect("identity", seen["identity"][::2], (None, body))
    expect("gzip", (seen["gzip"][0], gzip.decompress(seen["gzip"][2])), ("gzip", body))
    expect("br", seen["br"][0], "br")
    expect("weights", seen["gzip, br;q=0.5"], seen["gzip"])
    expect("smaller", len(seen["br"][2]) < len(body) / 2, True)
    tags = [seen[accept][1] for accept in ("identity", "gzip", "br")]
    expect("tags", len(set(tags)), 3)
    for accept, tag in zip(("identity", "gzip", "br"), tags):
        answer, got = ask("GET", path, Accept_Encoding=accept, If_None_Match=tag)
        expect("304 " + accept, (answer.status, got, answer.getheader("ETag")), (304, b"", tag))
    answer, _ = ask("GET", path, Accept_Encoding="br", If_None_Match=tags[0])
    expect("304 of who has another form", (answer.status, answer.getheader("ETag")), (304, tags[0]))
    answer, got = ask("HEAD", path, Accept_Encoding="br")
    expect("HEAD", (answer.getheader("Content-Length"), got), (str(len(seen["br"][2])), b""))
    return tags


def check_default():
    expect("PUT", ask("PUT", "/cache/k?ttl=600", value)[0].status, 201)
    await_work("put", 1)
    tags = check_forms("/cache/k", value)
    expect("406", ask("GET", "/cache/k", Accept_Encoding="identity;q=0, zstd")[0].status, 406)
    # Written anew, everything is new, and nothing of the old value is left.
    other = value.upper() + b"!"
    ask("PUT", "/cache/k", other)
    await_work("put", 2)
    expect("other tags", set(check_forms("/cache/k", other)) & set(tags), set())
    # A form that there is not is not made for one request.
    ask("PUT", "/cache/small", b"small")
    expect("small", ask("GET", "/cache/small", Accept_Encoding="br, identity;q=0")[0].status, 406)
    expect("small", ask("GET", "/cache/small", Accept_Encoding="br")[1], b"small")
    expect("nothing for a small one", metric("nearlane_precompressions_total"), 2)
    # Nor is anything kept of a secret.
    ask("PUT", "/cache/secret:k", value)
    answer, body = ask("GET", "/cache/secret:k", Accept_Encoding="br, gzip")
    expect("secret", (answer.getheader("Content-Encoding"), body), (None, value))
    expect("nothing for a secret", metric("nearlane_precompressions_total"), 2)
    ask("DELETE", "/cache/k")
    expect("deleted", ask("GET", "/cache/k", Accept_Encoding="br")[0].status, 404)


def check_first_read():
    """The key `k` was written over RESP."""
    expect("before", metric("nearlane_precompressions_total"), 0)
    expect("read", ask("GET", "/cache/k", Accept_Encoding="br")[0].status, 200)
    await_work("put", 1)
    expect("after", ask("GET", "/cache/k", Accept_Encoding="br")[0].getheader("Content-Encoding"), "br")


def check_never():
    ask("PUT", "/cache/k", value)
    expect("off", ask("GET", "/cache/k", Accept_Encoding="br")[0].getheader("Content-Encoding"), None)
    expect("off", metric("nearlane_precompressions_total"), 0)


def check_per_request():
    ask("PUT", "/cache/k", value)
    check_forms("/cache/k", value)
    ask("PUT", "/cache/secret:k", value)
    answer, body = ask("GET", "/cache/secret:k", Accept_Encoding="br, gzip")
    expect("secret", (answer.getheader("Content-Encoding"), body), (None, value))
    expect("per request", metric("nearlane_precompressions_total"), 0)


{"default": check_default, "first_read": check_first_read, "never": check_never,
 "per_request": check_per_request}[which]()
leave()
