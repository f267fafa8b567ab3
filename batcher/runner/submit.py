"""The step that costs money: PENDING to RUNNING.

Submits leave one at a time, at the times that the pace gives. A job is claimed last, after every other wait and
``LEAD`` before its time. So a kill puts only submits without an answer, and those about to leave, in doubt, and the
rate is exact to the millisecond although the claim takes a disk write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from batcher.core import limits
from batcher.core.budget import kind_of
from batcher.core.circuit_breaker import CircuitBreaker
from batcher.core.errors import (
    AccountError,
    Cause,
    DiskError,
    NotFound,
    NotSent,
    Overtaken,
    Refused,
    Rejected,
    TakenOver,
    Unclear,
)
from batcher.core.job import Accepted, Entry, State
from batcher.core.retry import REFUSALS
from batcher.pacing import LATE, SlowStart
from batcher.runner.events import CameBack
from batcher.runner.images_on_disk import ImagesOnDisk
from batcher.runner.recovery.departures import Departures
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason, pause

CLOCK = 1e-6  # seconds: a shorter wait counts as none
SETTINGS_CHECK = 1.0  # seconds between two checks of settings that a person may change: deadline, rate
PAUSE_CHECK = 0.2  # seconds between two checks of a pause
START_CHECK = 0.002  # seconds between two checks of slow start
LEAD = 0.03  # seconds from claim to submit: time of the disk write on most disks
LONGEST_CLAIM = 0.5  # seconds that a claimed job may wait at most, because a kill puts it in doubt
NO_MODEL = "batcher/probe/no-such-model"  # a submit for it gets an answer and costs nothing
ACCEPT_TRIES = 10  # tries, a second apart, to record a request id after a disk error
RELEASE_TRIES = 3  # the same for a released job, whose loss only leads to a doubt


class Submitter:
    """The submits of one run.

    context: of the run. journal: records departing submits. model: read by free probes while the service is failing.
    in_vain: returns whether downloads keep failing.
    """

    def __init__(self, context: RunContext, journal: Departures, model: str, in_vain: Callable[[], bool]) -> None:
        self.context = context
        self.journal = journal
        self._in_vain = in_vain
        self.model = model
        self.pace = context.pace
        self._slow_start = SlowStart()
        self.breaker = CircuitBreaker()
        self._on_disk = ImagesOnDisk(context)
        self._claiming = asyncio.Lock()  # the turn to claim a job
        self._waiting = 0  # claimed jobs that wait for their time
        self._claimed = 0  # claimed jobs that were not sent yet

    async def submit(self, entry: Entry) -> Entry:
        """PENDING to RUNNING, FAILED or IN_DOUBT; DONE if its files are already on disk; stays PENDING if the run
        stops.

        Raises AccountError; Overtaken when another process has moved the job.
        """
        if (there := await self._on_disk.take(entry)) is not None:
            return there
        if self.context.media is not None:
            await self.context.media.ready(entry, self.context.reader)
        unsent = 0
        while True:
            async with self._claiming:
                if not await self._turn(entry):
                    return entry
                self._claimed += 1
                alone = self.breaker.open  # a failing service gets one submit at a time: the others wait for the lock
                if alone:
                    after = await self._send(entry)
            if not alone:
                after = await self._send(entry)
            if after.state is not State.PENDING:
                return after
            unsent += 1
            if self.breaker.failures:
                await pause(self.context.delay(REFUSALS, unsent, entry), self.context.stop.nothing_new)

    async def _turn(self, entry: Entry) -> bool:
        """Wait until one more submit may be claimed. False: the run stops."""
        context, stop = self.context, self.context.stop
        while not stop.nothing_new.is_set():
            if context.past_deadline():
                stop.request(Reason.DEADLINE, "the deadline is reached")
            elif (wait := self._wait()) > 0:
                await pause(min(wait, SETTINGS_CHECK), stop.nothing_new)
            elif self.breaker.open and not await self._service_answers():
                continue
            elif context.budget.reserve(entry.job.images, kind_of(entry.job.model, entry.job.inputs)):
                context.calls.reserve(context.now())
                context.waits.line = ""
                return True
            elif context.budget.waits:
                await self._money_moves()
            else:
                stop.request(Reason.BUDGET, context.budget.in_words())
        context.waits.line = ""
        return False

    def _wait(self) -> float:
        """Seconds until the next check; 0 if only service and budget are left to check."""
        context, now = self.context, self.context.now()
        if not context.go_on.is_set():
            by, wait = limits.PAUSED, PAUSE_CHECK
        elif (wait := self._due() - now) > CLOCK:
            by = limits.RATE if self.pace.rate == self.pace.ceiling else limits.SERVICE
        elif self._slow_start.full(now, self._claimed):
            by, wait = limits.START, START_CHECK
        elif self._in_vain():
            by, wait = limits.DOWNLOADS, SETTINGS_CHECK
        else:
            by, wait = limits.API_RATE, max(0.0, context.calls.next_start(now) - now - LEAD)
        if wait <= CLOCK:
            return 0.0
        context.waits.line = by
        return wait

    def _due(self) -> float:
        """When to claim the next submit so that it leaves on time; in the past if it is late."""
        due = max(self.pace.due, self.context.now() - LATE)
        return due + self._claimed * self.pace.interval - LEAD

    async def _money_moves(self) -> None:
        """Wait for a job to end, which may free some of a fully reserved budget."""
        self.context.money_moved.clear()
        self.context.waits.line = limits.BUDGET
        while not self.context.money_moved.is_set() and not await pause(0.2, self.context.stop.nothing_new):
            pass

    async def _send(self, entry: Entry) -> Entry:
        """Record the intent, send the submit at its time, record the outcome."""
        context = self.context
        try:
            inputs = entry.job.inputs if context.media is None else context.media.sent(entry, context.reader)
            entry = await context.queue.durable(context.state.claim, entry, context.wall())
            may_leave = await self._moment()
        except (Overtaken, DiskError):
            context.unspend(entry)
            raise
        finally:
            self._claimed -= 1
        if not may_leave or context.stop.nothing_new.is_set():
            self.journal.refused(entry)
            return await self._release(entry)
        return await self._post(entry, inputs)

    async def _moment(self) -> bool:
        """Wait for the time of a submit. False if it was postponed because the service refused another meanwhile.

        Each submit waits by itself, so that a late event loop sends all that are due. It is booked when it leaves, so
        that a late one and the next can't leave too close together.
        """
        context = self.context
        wait = self.pace.due + self._waiting * self.pace.interval - context.now()
        self._waiting += 1
        try:
            while wait > CLOCK:
                if wait > LONGEST_CLAIM:
                    return False
                await asyncio.sleep(wait)
                wait = self.pace.due - context.now()
            self.pace.reserve(context.now())
            return True
        finally:
            self._waiting -= 1

    async def _post(self, entry: Entry, inputs: Mapping[str, Any]) -> Entry:
        context, left_at = self.context, self.context.now()
        context.failure_limit.began(entry.id)
        self._slow_start.left(left_at)
        try:
            accepted = await self._answer(entry, inputs)
        except Unclear as problem:
            self.breaker.failed(context.now())
            context.note_silence(problem)
            context.settle(entry, None)
            context.count_doubt(entry, problem.cause)
            context.tally.submitted(left_at)
            return await context.queue.durable(context.state.doubt, entry, problem.cause)
        except NotSent as problem:
            self.breaker.failed(context.now())
            context.note_silence(problem)
            return await self._came_back(entry, str(problem), refused=False)
        except Refused as problem:
            self._answered()
            self._slow_start.close()
            self.pace.refused(context.now(), problem.retry_after, left_at)
            context.tally.rate_limited += 1
            return await self._came_back(entry, str(problem), refused=True)
        except Rejected as problem:
            self._answered()
            return await self._rejected(entry, problem.cause, left_at)
        except AccountError as problem:
            await self._came_back(entry, problem.message, refused=True)
            raise
        except DiskError as problem:  # there would be no record that it left
            context.machine_failed(problem)
            return await self._came_back(entry, problem.message, refused=False)
        self._answered()
        context.no_catalogue = None
        context.tally.submitted(left_at)
        context.left_at[entry.id] = left_at
        return await self._accept(entry, accepted)

    async def _rejected(self, entry: Entry, cause: Cause, left_at: float) -> Entry:
        context = self.context
        if context.is_wrong_address(cause):
            return await self._release(entry)
        context.count_outcome(entry, cause)
        context.unspend(entry)
        context.tally.submitted(left_at)
        return await context.queue.durable(context.state.reject, entry, cause, context.wall())

    async def _answer(self, entry: Entry, inputs: Mapping[str, Any]) -> Accepted:
        journal = self.journal
        self.context.in_air += 1
        try:
            accepted = await self.context.api.submit(entry.job.model, inputs, lambda: journal.left(entry))
            journal.answered(entry, accepted.request_id)
        except (NotSent, Refused, Rejected, AccountError):
            journal.refused(entry)
            raise
        finally:
            self.context.in_air -= 1
            self._slow_start.answered()
        return accepted

    async def _accept(self, entry: Entry, accepted: Accepted) -> Entry:
        """Record the request id, which is paid for. On a disk error: save it elsewhere, report it, retry at the end."""
        context = self.context
        context.rescue.keep(entry, accepted.request_id)

        def refused() -> None:
            context.say(context.rescue.write_elsewhere(entry))

        move = partial(context.state.accept, entry, accepted.request_id, context.wall())
        after = await self._retry_write(ACCEPT_TRIES, move, refused)
        context.rescue.recorded(entry)
        if after.cause is not None:  # in doubt: the service gave the same id to another submit
            context.settle(entry, None)
            context.count_doubt(entry, after.cause)
        return after

    async def _came_back(self, entry: Entry, why: str, *, refused: bool) -> Entry:
        self.context.tell(CameBack(entry=entry, refused=refused, why=why, at=self.context.wall()))
        return await self._release(entry)

    async def _release(self, entry: Entry) -> Entry:
        """Record the release; without it the next start takes the submit for in doubt."""
        context = self.context
        context.unspend(entry)
        context.failure_limit.dropped(entry.id)
        move = partial(context.state.release, entry)
        return await self._retry_write(RELEASE_TRIES, move, lambda: context.rescue.unsent(entry))

    async def _retry_write(
        self, most: int, move: Callable[[], Entry], refused: Callable[[], None] = lambda: None
    ) -> Entry:
        """Retry a write after a disk error, up to ``most`` times, a second apart. Raises DiskError in the end.

        refused: called once, if freeing the ballast did not help.
        """
        context = self.context
        tries = 0
        while True:
            try:
                return await context.queue.durable(move)
            except DiskError as error:
                context.machine_failed(error)
                if context.ballast.drop():
                    continue
                tries += 1
                if tries == 1:
                    refused()
                if isinstance(error, TakenOver) or tries > most:
                    raise
                await asyncio.sleep(1.0)

    def _answered(self) -> None:
        self.breaker.answered()
        self.context.failure_limit.answered()
        self.context.note_answer()

    async def _service_answers(self) -> bool:
        """Free probes, when due, before the next submit: one read, and one submit for a model that does not exist, as
        the submit endpoint may fail alone.
        """
        context = self.context
        context.waits.line = limits.SILENT
        if await pause(self.breaker.probe_at(context.now()) - context.now(), context.stop.nothing_new):
            return False
        if (problem := await _unanswered(context.api.model(self.model))) is None:
            context.note_answer()
            if (problem := await _unanswered(context.api.submit(NO_MODEL, {}))) is None:
                return True
            context.stop_if_unanswered(context.failure_limit.unanswered(), problem.cause)
        self.breaker.failed(context.now())
        context.note_silence(problem)
        return False


async def _unanswered(call: Awaitable[object]) -> NotSent | Unclear | None:
    """Why a call got no answer; None if it got an answer of any kind. Raises AccountError."""
    try:
        await call
    except (NotSent, Unclear) as problem:
        return problem
    except (Refused, Rejected, NotFound):
        pass
    return None
