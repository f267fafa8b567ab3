"""Ctrl-C, SIGTERM and a closed terminal, for as long as a run goes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from batcher.runner.events import Noted
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason


@asynccontextmanager
async def heeding_signals(context: RunContext) -> AsyncIterator[None]:
    """The first: nothing new, finish what is in the air. The second: leave at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def asked() -> None:
        if context.stop.reason is Reason.INTERRUPTED:
            task.cancel()
            return
        context.tell(
            Noted(text="stopping: finishing what is in the air; once more to leave at once", at=context.wall())
        )
        context.stop.request(Reason.INTERRUPTED, "interrupted")

    handled = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    for number in handled:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
