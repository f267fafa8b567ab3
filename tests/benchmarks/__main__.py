"""`python -m tests.benchmarks [PART ...]`: every part, or those named; one table at the end.

Parts run one after the other, as each wants both cores, and several each in a process of its own: what a process had
in memory counts as the first memory of what it starts. The exit code is 1 when a number falls short.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import import_module

from tests.benchmarks.table import Line, as_json, drawn, in_words

PARTS = {
    "overhead": "what a job costs beside a bare loop of the same HTTP calls",
    "rate": "whether the rate asked for is reached and kept, and a hidden limit found",
    "polling": "calls and delay of the poll planner, beside the best possible and fixed intervals",
    "million": "start, memory, resume and size of very long manifests",
    "in_flight": "five thousand jobs at the service at once",
    "slow": "a slow disk, and slow downloads",
    "big_files": "downloads of a megabyte, beside other downloaders",
    "bucket": "pictures into a bucket, beside a bare loop of obstore",
    "start": "how long commands take to start",
    "programs": "what a program pays: import batcher, and results of `async for`",
    "loops": "what uvloop gains",
    "workers": "what workers on Ray take from the coordinator, and what they add",
    "view": "the page of a hundred thousand pictures in a browser",
    "exports": "what an export costs, beside cp -al and tar of the same files",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--json", action="store_true", help="each measurement as a line of JSON")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    began, rows, short = time.monotonic(), [], 0
    parts = arguments.parts or list(PARTS)
    for part in parts:
        print(f"{part}: {PARTS[part]}", file=sys.stderr, flush=True)
        for line in _lines(part) if len(parts) == 1 else _by_itself(part):
            rows.append(in_words(part, line))
            short += line.ok is False
            print(f"  {' · '.join(cell for cell in rows[-1][1:] if cell)}", file=sys.stderr, flush=True)
            if line.note:
                print(f"    {line.note}", file=sys.stderr, flush=True)
            if arguments.json:
                print(as_json(part, line), flush=True)
    if not arguments.json:
        print(drawn(rows))
    print(f"{time.monotonic() - began:.0f} s; {short} fall short", file=sys.stderr)
    return 1 if short else 0


def _by_itself(part: str) -> Iterable[Line]:
    command = [sys.executable, "-m", "tests.benchmarks", part, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for text in process.stdout:
            facts = json.loads(text)
            del facts["part"]
            yield Line(**facts)
        errors = process.stderr.read()
    if process.returncode not in {0, 1} or "Traceback" in errors:  # 1 is also what Python makes of an exception
        raise RuntimeError(f"the part {part} ended with {process.returncode}:\n{errors[-2000:]}")


def _lines(part: str) -> Iterable[Line]:
    lines: Iterable[Line] = import_module(f"tests.benchmarks.{part}").measure()
    return lines


if __name__ == "__main__":
    sys.exit(main())
