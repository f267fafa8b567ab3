"""The event loop of a command: uvloop where it is installed (the extra ``speed``), else asyncio's own."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from batcher.core.one_line import one_line

T = TypeVar("T")


class _OneLine(logging.Handler):
    """Python prints messages of libraries raw, and they may quote hostile bytes, as of an image or an answer."""

    def emit(self, record: logging.LogRecord) -> None:
        what = f": {record.exc_info[1]!r}" if record.exc_info else ""
        print(one_line(f"warning: {record.name}: {record.getMessage()}{what}", 1000), file=sys.stderr)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. From then on each warning of a library is one escaped line."""
    logging.lastResort = _OneLine(logging.WARNING)
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
