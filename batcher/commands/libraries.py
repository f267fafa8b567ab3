"""What libraries log where nobody has set up ``logging``: Python prints it raw, and it may repeat what came from
outside, a broken image or an answer of a stranger.
"""

import logging
import sys

from batcher.core.one_line import one_line


class _OneLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        what = f": {record.exc_info[1]!r}" if record.exc_info else ""
        print(one_line(f"warning: {record.name}: {record.getMessage()}{what}", 1000), file=sys.stderr)


def log_in_one_line() -> None:
    """For the rest of the process."""
    logging.lastResort = _OneLine(logging.WARNING)
