"""An export that dies of SIGKILL at its N-th touch of the disk: ``python -m tests.export.victim N RUN DIR ...``."""

import os
import signal
import sys
from itertools import count
from typing import Any

from batcher.__main__ import main

TOUCHES = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.utime", "os.rmdir"})


def main_until(last: int, words: list[str]) -> int:
    touches = count(1)
    folder = words[2]

    def watch(event: str, options: tuple[Any, ...]) -> None:
        names = [os.fsdecode(one) for one in options if isinstance(one, str | bytes | os.PathLike)]
        ours = event in TOUCHES and any(folder in name for name in names)
        if ours and next(touches) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    code = main(words)
    print(next(touches) - 1)
    return code


if __name__ == "__main__":
    sys.exit(main_until(int(sys.argv[1]), ["export", *sys.argv[2:]]))
