"""Many operations in one request: batch.py PORT. Prints what is wrong."""
import base64
import json
import sys

from client import Client, expect, leave

ask = Client(sys.argv[1]).ask


def batch(*operations):
    answer, body = ask("POST", "/cache:batch", json.dumps({"operations": operations}))
    return answer.status, [dict(result) for result in json.loads(body).get("results", [])]


status, results = batch({"set": "a", "value": "one", "ttl": 60}, {"set": "b/\u00e9", "value": "zw\u00f6lf"},
                        {"get": "a"}, {"get": "b/\u00e9"}, {"get": "none"}, {"delete": "a"}, {"delete": "none"},
                        {"get": "a"}, {"set": "b/\u00e9", "value_base64": base64.b64encode(b"\xff\0").decode()},
                        {"get": "b/\u00e9"})
expect("status", status, 200)
expect("in order", [result["status"] for result in results], [201, 201, 200, 200, 404, 204, 404, 404, 204, 200])
expect("value", [results[2]["value"], results[3]["value"]], ["one", "zw\u00f6lf"])
expect("bytes", (results[9].get("value"), results[9]["value_base64"]), (None, "/wA="))
answer, body = ask("GET", "/cache/b%2F%C3%A9")
expect("the same key", body, b"\xff\0")
expect("the same tag", (results[8]["etag"], results[9]["etag"]), (answer.getheader("ETag"),) * 2)

# Of one key, the last one counts.
status, results = batch(*({"set": "k", "value": str(number)} for number in range(100)), {"get": "k"})
expect("the last", results[-1]["value"], "99")
expect("one made it", [result["status"] for result in results[:-1]], [201] + [204] * 99)
status, results = batch(*({"get": "k"} for _ in range(1000)))
expect("a thousand", {result["value"] for result in results}, {"99"})
expect("one more", batch(*({"get": "k"} for _ in range(1001)))[0], 413)

# An answer has a length, too.
large = "v" * (6 << 20)
expect("large", batch({"set": "large", "value": large})[1][0]["status"], 201)
status, results = batch({"get": "large"}, {"get": "large"}, {"get": "large"}, {"get": "k"})
expect("as much as fits", [result["status"] for result in results], [200, 200, 413, 200])

expect("not JSON", ask("POST", "/cache:batch", b"x")[0].status, 400)
expect("nothing to do", batch(), (200, []))
answer, _ = ask("GET", "/cache:batch")
expect("405", (answer.status, answer.getheader("Allow")), (405, "POST, OPTIONS"))
expect("counted", b'cmd="batch"' in ask("GET", "/metrics")[1], True)
for key in ("k", "large", "b%2F%C3%A9"):
    ask("DELETE", "/cache/" + key)
leave()
