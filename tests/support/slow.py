"""`python -m tests.support.slow JUNIT.XML > tests/slow.txt`: which tests take over two seconds, from a whole run."""

import sys
from xml.etree import ElementTree as ET

SLOW_FOLDERS = {"crash", "engines", "fuzz", "storms"}  # as a whole
SECONDS = 4.0  # in a run with two or three tests at a time on each processor


def main() -> None:
    slow = set()
    for case in ET.parse(sys.argv[1]).iter("testcase"):
        folders = (case.get("classname") or "").split(".")
        if float(case.get("time") or 0) > SECONDS and not SLOW_FOLDERS.intersection(folders):
            module = next(name for name in reversed(folders) if name.startswith("test_"))
            slow.add(f"{module}::{(case.get('name') or '').partition('[')[0]}")
    print(*sorted(slow), sep="\n")


if __name__ == "__main__":
    main()
