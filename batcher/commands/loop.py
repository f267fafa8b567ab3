"""The event loop that a run goes on: uvloop where it is installed (the extra ``speed``), else asyncio's own."""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from batcher.commands import libraries

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    libraries.log_in_one_line()
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Any:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
