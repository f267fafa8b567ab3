"""``batcher.start``: a run in a thread of its own, which gives its results as they come.

The run has its own thread and event loop, so it works in a notebook, inside any other loop, in a thread, and twice in
one process. It patches nothing and handles no signals.
"""

import asyncio
import atexit
import html
import math
import threading
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from batcher.api.loops import Changes, Soon, this_loop
from batcher.api.options import texts_of
from batcher.api.run import Run
from batcher.api.shown import progress_of
from batcher.api.values import Failed, Image, Report, failed_of, image_of
from batcher.core.errors import BatcherError, Interrupted, UsageError
from batcher.core.job import State
from batcher.runner import session
from batcher.runner.events import Event, JobMoved, RunBegan
from batcher.runner.run_context import RunContext, Surroundings
from batcher.runner.service import Options
from batcher.runner.stop import Reason
from batcher.runner.tuning import tune
from batcher.runner.watchers.watching import Watch
from batcher.store.prompts import Prompts

Result = Image | Failed
_HOW = "Use it so: async with batcher.start(...) as run: async for result in run: ..."
_ENDED = (State.FAILED, State.CANCELLED, State.IN_DOUBT)
_LAST_WAIT = 15.0  # seconds: after a second Ctrl-C, and when the process ends and the run does not


class GoingRun:
    """A run in progress. ``start`` makes it; enter it with ``async with`` or ``with``.

    Iterating gives an ``Image`` or a ``Failed`` for each job that ends from now on; earlier results are in
    ``batcher.open(run.path).images()``. Leaving the block early is the first Ctrl-C: nothing new is submitted, and the
    next start collects what is at the service.

    path: of the run directory, None until the run has begun. report, summary: of the run, once it has ended.

    >>> with batcher.start(["a green kite"], out="runs/green", simulate=True) as run:
    ...     _ = run.tune(rate="5/s")
    ...     results = list(run)
    >>> run.report.done
    1
    """

    def __init__(self, place: Callable[[], AbstractContextManager[Options]], watch: Callable[[], Watch]) -> None:
        """place: a context manager that gives the options; the manifest is in its place inside of it.

        watch: what the caller wants around the run: files for other programs, a command at the end.
        """
        self.path: Path | None = None
        self.report: Report | None = None
        self.summary = ""
        self._place = place
        self._watch = watch
        self._results: deque[Result] = deque()
        self._changes = Changes()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of the engine
        self._entered_in: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._context: RunContext | None = None
        self._asked = 0  # how often it was asked to stop: 1 is the first Ctrl-C, 2 the second
        self._asked_at: float | None = None  # of the first time, in ``time.monotonic``
        self._began = False
        self._prompts: Prompts | None = None
        self._complained = False  # about not being entered
        self._over = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        state = "over" if self._over else "going" if self._began else "not begun"
        return f"<GoingRun {self.path or ''} {state}>"

    def __del__(self) -> None:
        if self._thread is None and not self._complained:
            warnings.warn(f"batcher.start was never entered, so nothing was run. {_HOW}", RuntimeWarning, stacklevel=2)

    def _repr_html_(self) -> str:
        """Its status and its newest images."""
        if self.path is None:
            return f"<p>{html.escape(repr(self))}</p>"
        return Run(self.path)._repr_html_()

    # --- entering and leaving

    async def __aenter__(self) -> Self:
        self._entered_in = this_loop()
        self._launch()
        try:
            await self._changes.until(lambda: self._began or self._over)
        except BaseException:
            self._ask()
            raise
        self._raise_early()
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        self._require_loop()
        return self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        self.stop()
        try:
            await self._changes.until(lambda: self._over)
        except asyncio.CancelledError:
            self._ask()  # once more: the second Ctrl-C
            raise
        self._raise_defect(error)

    def __enter__(self) -> Self:
        self._launch()
        self._wait(lambda: self._began or self._over)
        self._raise_early()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._wait(lambda: self._over)
        self._raise_defect(error)

    def __await__(self) -> Generator[Any, None, Any]:
        self._complained = True
        raise UsageError("a run is not awaited", hint=_HOW)

    # --- results

    def __aiter__(self) -> AsyncIterator[Result]:
        self._require_entered()
        return self

    def __anext__(self) -> Coroutine[Any, Any, Result]:
        self._require_loop()
        return self._next()

    async def _next(self) -> Result:
        await self._changes.until(lambda: bool(self._results) or self._over)
        if self._results:
            return self._results.popleft()
        self._raise_defect(None)
        raise StopAsyncIteration

    def __iter__(self) -> Iterator[Result]:
        self._require_entered()
        return self

    def __next__(self) -> Result:
        self._wait(lambda: bool(self._results) or self._over)
        if self._results:
            return self._results.popleft()
        self._raise_defect(None)
        raise StopIteration

    # --- steering

    def pause(self, reason: str = "") -> Soon:
        """Submit nothing new until ``resume``; what is at the service is collected."""
        return self._tune(reason, pause=True)

    def resume(self, reason: str = "") -> Soon:
        """Submit again."""
        return self._tune(reason, resume=True)

    def tune(self, *, reason: str = "", **changes: Any) -> Soon:
        """Change ``rate``, ``in_flight``, ``downloads``, ``budget`` or ``deadline`` within a second.

        A later start uses them too. Raises UsageError for any other name.
        """
        self._require_entered()
        texts = texts_of(changes)
        if unknown := sorted(set(texts) - {"rate", "in_flight", "downloads", "budget", "deadline"}):
            raise UsageError(
                f"{unknown[0]} can't be changed while a run goes", hint="Stop the run, and start it again."
            )
        return self._tune(reason, **texts)

    def stop(self) -> Soon:
        """The same as the first Ctrl-C, however often it is called.

        The remaining results still come; ``report`` is set when the loop ends.
        """
        self._require_entered()
        if not self._over and not self._asked:
            self._ask()
        return Soon()

    # --- inside

    def _launch(self) -> None:
        if self._thread is not None:
            raise UsageError("this run was already started", hint="Call batcher.start again: it resumes the run.")
        self._thread = threading.Thread(target=self._engine, name="batcher", daemon=True)
        atexit.register(self._at_exit)
        self._thread.start()

    def _engine(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._run())
        except BaseException as error:  # noqa: BLE001  raised in the caller that waits
            self._error = error
        finally:
            atexit.unregister(self._at_exit)
            self._over = True
            self._changes.wake()

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        with self._watch() as watch:
            name = "a run from Python"
            try:
                with self._place() as options:
                    name = options.out or options.manifest
                    progress = progress_of(options)
                    watch.say_warnings(progress.say)
                    surroundings = Surroundings(observers=(self._hear, watch), attend=self._attend)
                    ended = await session.run(options, surroundings, progress)
            except asyncio.CancelledError:
                raise Interrupted("stopped before it began", hint="Nothing was submitted.") from None
            except BatcherError as error:
                watch.failed_to_start(error, name)
                raise
            self.report, self.summary = Report.of(ended.report), ended.summary
            self.path = Path(self.report.run)
            await asyncio.to_thread(watch.finish, self._asked_at)

    @asynccontextmanager
    async def _attend(self, context: RunContext) -> AsyncIterator[None]:
        self._context = context
        if self._asked:
            self._stop_now()
        try:
            yield
        finally:
            self._context = None

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobMoved) and self.path is not None and self._prompts is not None:
            run_dir, entry, prompts = self.path, event.entry, self._prompts
            if entry.state is State.DONE:
                self._results.extend(image_of(run_dir, entry, one, prompts) for one in event.artifacts)
                self._changes.wake()
            elif entry.state in _ENDED:
                self._results.append(failed_of(entry, prompts))
                self._changes.wake()
        elif isinstance(event, RunBegan):
            self.path, self._prompts, self._began = event.run_dir, Prompts(event.run_dir), True
            self._changes.wake()

    def _ask(self) -> None:
        self._asked += 1
        self._asked_at = self._asked_at or time.monotonic()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._stop_now)

    def _stop_now(self) -> None:
        if self._asked > 1 or (self._context is None and not self._began):
            if self._task is not None:
                self._task.cancel()
        elif self._context is not None:
            self._context.stop.request(Reason.INTERRUPTED, "stopped by the program")

    def _tune(self, reason: str, **changes: Any) -> Soon:
        self._require_entered()
        assert self.path is not None
        tune(self.path, reason=reason or None, **changes)
        return Soon()

    def _require_entered(self) -> None:
        if self._thread is None:
            self._complained = True
            raise UsageError("the run has not been entered", hint=_HOW)

    def _require_loop(self) -> None:
        """Raises UsageError if the loop that it was entered in is closed and no other is running."""
        if self._entered_in is not None and self._entered_in.is_closed():
            this_loop()

    def _raise_early(self) -> None:
        if self._over and self._error is not None:
            raise self._error

    def _raise_defect(self, already: BaseException | None) -> None:
        """Raise what ended the run. already: the exception that is being raised anyway, which wins."""
        if self._error is not None and already is None and not isinstance(self._error, Interrupted):
            raise self._error

    def _wait(self, holds: Callable[[], bool]) -> None:
        """Wait in this thread. Ctrl-C asks the run to stop; KeyboardInterrupt is raised when the run has ended.

        After a second Ctrl-C it is raised within ``_LAST_WAIT`` seconds.
        """
        interrupted, until = False, math.inf
        while not holds() and time.monotonic() < until:
            try:
                self._changes.wait(holds)
            except KeyboardInterrupt:
                interrupted = True
                self._ask()
                until = time.monotonic() + _LAST_WAIT if self._asked > 1 else until
                holds = lambda: self._over  # noqa: E731
        if interrupted:
            raise KeyboardInterrupt

    def _at_exit(self) -> None:
        """The process ends before the run: the same as Ctrl-C, for ``_LAST_WAIT`` seconds at most."""
        self._ask()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT)
