"""Log messages of libraries as one escaped line: Python prints them raw, and they may quote hostile bytes, such as
those of an image or an answer.
"""

import logging
import sys

from batcher.core.one_line import one_line


class _OneLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        what = f": {record.exc_info[1]!r}" if record.exc_info else ""
        print(one_line(f"warning: {record.name}: {record.getMessage()}{what}", 1000), file=sys.stderr)


def log_in_one_line() -> None:
    """Print warnings of libraries in one line each, for the rest of the process."""
    logging.lastResort = _OneLine(logging.WARNING)
