"""Opens the engine of a run, and removes what its workers leave behind."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace

from batcher.core.errors import DiskError
from batcher.core.job import Counts
from batcher.core.settings import Settings
from batcher.core.units import show_rate
from batcher.images.storage import url_of
from batcher.runner.engines.cluster import ray_crew
from batcher.runner.engines.dispatch import Dispatcher
from batcher.runner.engines.engine import Engine
from batcher.runner.engines.meeting import forget_meetings
from batcher.runner.engines.messages import Crew, Setup
from batcher.runner.events import Event, Noted
from batcher.store import StateFile
from batcher.store.files.place import sweep

__all__ = ["Hire", "open_engine", "ray_crew"]

Hire = Callable[[Setup, int | None], AbstractAsyncContextManager[Crew]]

EASY = 15.0  # full-size images a second that one core checks with time to spare


@asynccontextmanager
async def open_engine(
    local: Engine, state: StateFile, counts: Counts, settings: Settings, *, trust: tuple[str, ...], simulated: bool,
    hire: Hire, tell: Callable[[Event], None], wall: Callable[[], float],
) -> AsyncIterator[Engine]:  # fmt: skip
    """The engine for these settings. Raises UsageError, DiskError before anything is submitted.

    local: the engine for ``--engine local``. trust, simulated: as in Setup. hire: starts the workers. tell: gets the
    events. wall: Unix seconds.
    """
    run_dir = state.path.parent
    if state.facts.workers_left:
        _put_away(state, sweep_images=True)
    if settings.engine == "local" or not counts.pending:
        yield local
        return

    if words := no_use(settings.rate, os.cpu_count() or 1):
        tell(Noted(text=words, at=wall()))
    setup = Setup(
        run_dir=str(run_dir.resolve()), bucket=url_of(run_dir), trust=trust, check=settings.check,
        embed=settings.embed, simulated=simulated, prompt_input=state.facts.prompt_input,
    )  # fmt: skip
    async with hire(setup, settings.workers) as crew:
        _note_leftovers(state, there_may_be=True)
        async with Dispatcher(crew, local, setup, wall, tell) as dispatcher:
            yield dispatcher
    with suppress(DiskError):
        _put_away(state, sweep_images=dispatcher.losses > 0)


def no_use(rate: float, cores: int) -> str:
    """Why workers would not make this run faster; empty if they may. rate: submits per second. cores: number here."""
    if rate > EASY * cores:
        return ""
    return (
        f"workers will not make this run faster: {show_rate(rate)} is the limit, and this machine alone fetches and"
        f" checks some {EASY * cores:.0f} full-size images a second, or hundreds of small ones"
    )


def _put_away(state: StateFile, *, sweep_images: bool) -> None:
    """Remove temporary files of killed workers from the run directory. Raises DiskError."""
    run_dir = state.path.parent
    forget_meetings(run_dir)
    if sweep_images:  # this lists every file
        sweep(run_dir)
    _note_leftovers(state, there_may_be=False)


def _note_leftovers(state: StateFile, *, there_may_be: bool) -> None:
    state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, workers_left=there_may_be))])
