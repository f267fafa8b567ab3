"""From what a person typed to a run. Where there is nothing to do, that is found out from the state file and the
manifest's bytes alone: no service, no token, and none of the libraries that only work needs.
"""

import time
from contextlib import ExitStack
from typing import Any

from batcher.manifest import Memory
from batcher.runner import at_rest
from batcher.runner.progress import READING, counting, listener
from batcher.runner.run_dir import hold, some_room
from batcher.runner.service import Options, read_draft, run_dir_of
from batcher.store import INTENT, STATE, StateFile, has_state, reading


async def run(options: Options) -> tuple[dict[str, Any], str]:
    """The main job. Returns the report and its summary in words. Raises BatcherError before anything is spent."""
    started = time.monotonic()
    draft, settings = read_draft(options)
    run_dir = run_dir_of(options, draft)
    progress = listener(settings.progress)
    with ExitStack() as held:
        held.callback(draft.close)
        held.enter_context(hold(run_dir))  # before anything else: two batchers at once would pay twice
        some_room(run_dir)
        state = None
        if has_state(run_dir):
            state = StateFile(run_dir / STATE)
            held.callback(state.close)
            if reading.meta(state.connection, INTENT):
                from batcher.runner.relayout import finish  # noqa: PLC0415  start-up time

                finish(state)
            memory = Memory.from_json(reading.meta(state.connection, "check"))
            same = draft.recall(memory, progress=counting(progress, READING))
            if (
                memory is not None
                and same
                and not options.relayout
                and at_rest.is_at_rest(state, memory, options, settings)
            ):
                return at_rest.tell(state, memory, options, settings, progress, started)
        from batcher.runner.work import work  # noqa: PLC0415  the libraries for HTTP and pictures, which take a third of a second

        return await work(options, settings, draft, run_dir, state, progress, started)
