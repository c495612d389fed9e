"""What the scripts here share: Python's own HTTP client, and a list of what is wrong."""
import http.client
import sys

failures = []


class Client:
    """One connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)

    def ask(self, method, path, body=None, **headers):
        self.connection.request(method, path, body=body,
                                headers={name.replace("_", "-"): text for name, text in headers.items()})
        return self.answer()

    def answer(self):
        answer = self.connection.getresponse()
        return answer, answer.read()


def expect(what, got, wanted):
    if got != wanted:
        failures.append(f"{what}: {got!r} instead of {wanted!r}")


def leave():
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)
