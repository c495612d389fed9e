"""Ranges, OPTIONS and Expect, over http.client and a plain socket: ranges.py PORT. Prints what is wrong."""
import socket
import sys
import time

from client import Client, expect, leave

ask = Client(sys.argv[1]).ask
value = bytes(range(256)) * 200


def expect_part(field, first, last, **headers):
    answer, body = ask("GET", "/cache/k", Range=field, **headers)
    expect(field, (answer.status, answer.getheader("Content-Range"), body == value[first:last + 1],
                   answer.getheader("Content-Encoding"), answer.getheader("ETag")),
           (206, f"bytes {first}-{last}/{len(value)}", True, None, tag))


def expect_all(what, **headers):
    answer, body = ask("GET", "/cache/k", **headers)
    expect(what, (answer.status, answer.getheader("Content-Range")), (200, None))
    if answer.getheader("Content-Encoding") is None:
        expect(what, body == value, True)
    return answer


tag = ask("PUT", "/cache/k", value)[0].getheader("ETag")
last = len(value) - 1
expect_part("bytes=0-3", 0, 3)
expect_part("bytes=1-", 1, last)  # larger than what is copied
expect_part("bytes=-5", last - 4, last)
expect_part("bytes=7-999999999", 7, last)
expect_part("bytes=2-4", 2, 4, If_Range=tag)
expect_part("bytes=2-4", 2, 4, If_Match=tag)
expect_all("If-Range of another", Range="bytes=2-4", If_Range='"other"')
expect_all("a weak If-Range", Range="bytes=2-4", If_Range="W/" + tag)
expect_all("a date", Range="bytes=2-4", If_Range="Sat, 28 Nov 2026 10:00:00 GMT")
expect_all("several", Range="bytes=0-1,4-5")
expect_all("no range", Range="lines=0-1")
answer, body = ask("GET", "/cache/k", Range=f"bytes={len(value)}-")
expect("416", (answer.status, answer.getheader("Content-Range")), (416, f"bytes */{len(value)}"))
answer, body = ask("GET", "/cache/k", Range="bytes=0-3", If_None_Match=tag)
expect("304 before 206", (answer.status, body), (304, b""))
expect("412 before 206", ask("GET", "/cache/k", Range="bytes=0-3", If_Match='"other"')[0].status, 412)
expect("If-Match of what is there", ask("HEAD", "/cache/k", If_Match=tag)[0].status, 200)
answer, body = ask("HEAD", "/cache/k", Range="bytes=0-3")
expect("HEAD", (answer.status, answer.getheader("Content-Length")), (200, str(len(value))))

# What has a compressed form is sent in part all the same, but to who takes nothing else.
until = time.monotonic() + 20
while ask("HEAD", "/cache/k", Accept_Encoding="br")[0].getheader("Content-Encoding") != "br":
    if time.monotonic() > until:
        expect("a form", "none", "br")
        break
expect_part("bytes=0-3", 0, 3, Accept_Encoding="br, gzip")
answer = expect_all("br only", Range="bytes=0-3", Accept_Encoding="br, identity;q=0")
expect("br only", answer.getheader("Content-Encoding"), "br")
expect_all("a part of a form", Range="bytes=0-3", Accept_Encoding="br", If_Range=answer.getheader("ETag"))

for path, allow in (("/cache/k", "GET, HEAD, PUT, DELETE, OPTIONS"), ("/cache/k/touch", "POST, OPTIONS"),
                    ("/healthz", "GET, HEAD, OPTIONS"), ("*", "GET, HEAD, PUT, DELETE, POST, OPTIONS")):
    answer, body = ask("OPTIONS", path)
    expect(path, (answer.status, answer.getheader("Allow"), body), (204, allow, b""))
answer, _ = ask("POST", "/cache/k", b"")
expect("405", (answer.status, answer.getheader("Allow")), (405, "GET, HEAD, PUT, DELETE, OPTIONS"))
expect("404", ask("OPTIONS", "/nothing")[0].status, 404)

# A body that is announced comes after it was asked for.
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as plain:
    plain.sendall(b"PUT /cache/e HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    expect("continue", plain.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
    plain.sendall(b"hello")
    expect("created", plain.recv(1000).split(b"\r\n")[0], b"HTTP/1.1 201 Created")
expect("stored", ask("GET", "/cache/e")[1], b"hello")
leave()
