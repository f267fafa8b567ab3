"""The standard streams of the process. Output that can't be written must not end a run."""

import io
import os
import sys
import warnings
from typing import Any


class _IgnoresErrors(io.FileIO):
    """Standard error that ignores writes that fail, as on a full disk or a closed terminal."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def prepare() -> None:
    """Open closed streams on the null device, and make standard error ignore writes that fail.

    Hides warnings of libraries, which are for developers, unless ``python -W`` asks for them. Raises nothing. A
    file must never get the number of a standard stream: printed text would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened == number:
                setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    errors = sys.stderr
    raw = io.BufferedWriter(_IgnoresErrors(errors.fileno(), "wb", closefd=False))
    sys.stderr = io.TextIOWrapper(raw, errors.encoding, "backslashreplace", line_buffering=True)
