#!/usr/bin/env python3
"""A test of the source: the rules of the house that no compiler checks.

Rooms include downwards only (docs/architecture.md), Asio and Beast stay out of core's headers, no leftover
markers, no catch-all names, no mutex in a file with co_await. Prints every breach and exits 1 if there is one.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A room may include itself and the rooms named here.
CORE = {
    "core/base": set(),
    "core/protocol": {"core/base"},
    "core/entry": {"core/base"},
    "core/guard": {"core/base"},
    "core/audit": {"core/base", "core/entry"},
    "core/l1": {"core/base", "core/entry"},
    "core/cohere": {"core/base", "core/protocol", "core/entry"},
    "core/l2": {"core/base", "core/protocol", "core/entry", "core/cohere"},
    "core/tier": {"core/base", "core/protocol", "core/entry", "core/guard", "core/audit", "core/l1", "core/l2", "core/cohere"},
}
# Rooms whose headers may name Asio: they exist to do I/O.
ASIO_ROOMS = ("core/l2/redis", "servers/", "harness/")
VAGUE = re.compile(r"(^|_)(manager|helper|helpers|util|utils|misc|common)(_|\.|$)")


def room_of(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "core" else parts[0]


def files() -> list[str]:
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    return [line for line in out.splitlines() if (ROOT / line).is_file()]


def main() -> int:
    breaches = []
    for name in files():
        if VAGUE.search(pathlib.PurePath(name).name):
            breaches.append(f"{name}: a name that says nothing")
        if not name.endswith((".h", ".cc")):
            continue
        text = (ROOT / name).read_text()
        room = room_of(name)
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{name}:{number}"
            if re.search(r"\b(FIXME|XXX|HACK)\b", line) or re.search(r"\bTODO\b(?!\([a-z]+\):)", line):
                breaches.append(f"{where}: a marker without an owner's note")
            included = re.match(r'#include "([^"]+)"', line)
            if included:
                target = room_of(included.group(1))
                if not (ROOT / included.group(1)).exists():
                    breaches.append(f"{where}: include paths start at the top of the tree")
                elif room.startswith("core/") and target != room and target not in CORE[room]:
                    breaches.append(f"{where}: {room} must not know {target}")
                elif room == "servers" and target == "harness" or room == "harness" and target == "servers":
                    breaches.append(f"{where}: {room} must not know {target}")
            if (name.endswith(".h") and re.match(r"#include <boost/(asio|beast)", line)
                    and not name.startswith(ASIO_ROOMS)):
                breaches.append(f"{where}: Asio and Beast stay out of core's headers")
        if name.endswith(".h") and "#pragma once" not in text:
            breaches.append(f"{name}: no #pragma once")
        if "co_await" in text and re.search(r"std::(mutex|shared_mutex|lock_guard|unique_lock|scoped_lock)", text):
            breaches.append(f"{name}: a lock in a file with co_await; functions that lock are not coroutines")
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
