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
from batcher.core.retry import REFUSALS, decide, draw
from batcher.pacing import LATE, SlowStart
from batcher.runner.events import CameBack
from batcher.runner.images_on_disk import ImagesOnDisk
from batcher.runner.intake.media_inputs import MediaInputs
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
    media: makes links to input files; None if there are none. in_vain: returns whether downloads keep failing.
    """

    def __init__(
        self, context: RunContext, journal: Departures, model: str, media: MediaInputs | None,
        in_vain: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._api, self._surroundings, self._media = context.api, context.surroundings, media
        self._clock, self._stop, self._tally = context.clock, context.stop, context.tally
        self._table, self._health, self._money, self._flow = context.table, context.health, context.money, context.flow
        self.journal = journal
        self._in_vain = in_vain
        self.model = model
        self.pace = context.flow.submits
        self._slow_start = SlowStart()
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
        if self._media is not None:
            await self._media.ready(entry, self._table.reader)
        unsent = 0
        while True:
            async with self._claiming:
                if not await self._turn(entry):
                    return entry
                self._claimed += 1
                alone = (
                    self._health.breaker.open
                )  # a failing service gets one submit at a time: others wait for the lock
                if alone:
                    after = await self._send(entry)
            if not alone:
                after = await self._send(entry)
            if after.state is not State.PENDING:
                return after
            unsent += 1
            if self._health.breaker.failures:
                wait = decide(REFUSALS, unsent, draw(entry, unsent)) or 0.0  # it has no end
                await pause(wait, self._stop.nothing_new)

    async def _turn(self, entry: Entry) -> bool:
        """Wait until one more submit may be claimed. False: the run stops."""
        stop, waits = self._stop, self._flow.waits
        while not stop.nothing_new.is_set():
            if self._clock.past_deadline():
                stop.request(Reason.DEADLINE, "the deadline is reached")
            elif (wait := self._wait()) > 0:
                await pause(min(wait, SETTINGS_CHECK), stop.nothing_new)
            elif self._health.breaker.open and not await self._service_answers():
                continue
            elif self._money.reserve(entry):
                self._flow.calls.reserve(self._clock.now())
                waits.line = ""
                return True
            elif self._money.budget.waits:
                await self._money_moves()
            else:
                stop.request(Reason.BUDGET, self._money.budget.in_words())
        waits.line = ""
        return False

    def _wait(self) -> float:
        """Seconds until the next check; 0 if only service and budget are left to check."""
        flow, now = self._flow, self._clock.now()
        if not flow.going.is_set():
            by, wait = limits.PAUSED, PAUSE_CHECK
        elif (wait := self._due() - now) > CLOCK:
            by = limits.RATE if self.pace.rate == self.pace.ceiling else limits.SERVICE
        elif self._slow_start.full(now, self._claimed):
            by, wait = limits.START, START_CHECK
        elif self._in_vain():
            by, wait = limits.DOWNLOADS, SETTINGS_CHECK
        else:
            by, wait = limits.API_RATE, max(0.0, flow.calls.next_start(now) - now - LEAD)
        if wait <= CLOCK:
            return 0.0
        flow.waits.line = by
        return wait

    def _due(self) -> float:
        """When to claim the next submit so that it leaves on time; in the past if it is late."""
        due = max(self.pace.due, self._clock.now() - LATE)
        return due + self._claimed * self.pace.interval - LEAD

    async def _money_moves(self) -> None:
        """Wait for a job to end, which may free some of a fully reserved budget."""
        self._money.moved.clear()
        self._flow.waits.line = limits.BUDGET
        while not self._money.moved.is_set() and not await pause(0.2, self._stop.nothing_new):
            pass

    async def _send(self, entry: Entry) -> Entry:
        """Record the intent, send the submit at its time, record the outcome."""
        table = self._table
        try:
            inputs = entry.job.inputs if self._media is None else self._media.sent(entry, table.reader)
            entry = await table.queue.durable(table.state.claim, entry, self._clock.wall())
            may_leave = await self._moment()
        except (Overtaken, DiskError):
            self._money.release(entry)
            raise
        finally:
            self._claimed -= 1
        if not may_leave or self._stop.nothing_new.is_set():
            self.journal.refused(entry)
            return await self._release(entry)
        return await self._post(entry, inputs)

    async def _moment(self) -> bool:
        """Wait for the time of a submit. False if it was postponed because the service refused another meanwhile.

        Each submit waits by itself, so that a late event loop sends all that are due. It is booked when it leaves, so
        that a late one and the next can't leave too close together.
        """
        wait = self.pace.due + self._waiting * self.pace.interval - self._clock.now()
        self._waiting += 1
        try:
            while wait > CLOCK:
                if wait > LONGEST_CLAIM:
                    return False
                await asyncio.sleep(wait)
                wait = self.pace.due - self._clock.now()
            self.pace.reserve(self._clock.now())
            return True
        finally:
            self._waiting -= 1

    async def _post(self, entry: Entry, inputs: Mapping[str, Any]) -> Entry:
        health, tally, left_at = self._health, self._tally, self._clock.now()
        health.failure_limit.began(entry.id)
        self._slow_start.left(left_at)
        try:
            accepted = await self._answer(entry, inputs)
        except Unclear as problem:
            health.submit_silent(problem)
            self._money.settle(entry, None)
            health.unanswered(problem.cause, entry)
            tally.submitted(left_at)
            return await self._table.queue.durable(self._table.state.doubt, entry, problem.cause)
        except NotSent as problem:
            health.submit_silent(problem)
            return await self._came_back(entry, str(problem), refused=False)
        except Refused as problem:
            health.submit_answered()
            self._slow_start.close()
            self.pace.refused(self._clock.now(), problem.retry_after, left_at)
            tally.rate_limited += 1
            return await self._came_back(entry, str(problem), refused=True)
        except Rejected as problem:
            health.submit_answered()
            return await self._rejected(entry, problem.cause, left_at)
        except AccountError as problem:
            await self._came_back(entry, problem.message, refused=True)
            raise
        except DiskError as problem:  # there would be no record that it left
            self._table.failed(problem)
            return await self._came_back(entry, problem.message, refused=False)
        health.submit_answered()
        health.no_catalogue = None
        tally.submitted(left_at)
        self._flow.left_at[entry.id] = left_at
        return await self._accept(entry, accepted)

    async def _rejected(self, entry: Entry, cause: Cause, left_at: float) -> Entry:
        if self._health.is_wrong_address(cause):
            return await self._release(entry)
        self._health.ended(entry, cause)
        self._money.release(entry)
        self._tally.submitted(left_at)
        return await self._table.queue.durable(self._table.state.reject, entry, cause, self._clock.wall())

    async def _answer(self, entry: Entry, inputs: Mapping[str, Any]) -> Accepted:
        journal = self.journal
        self._flow.in_air += 1
        try:
            accepted = await self._api.submit(entry.job.model, inputs, lambda: journal.left(entry))
            journal.answered(entry, accepted.request_id)
        except (NotSent, Refused, Rejected, AccountError):
            journal.refused(entry)
            raise
        finally:
            self._flow.in_air -= 1
            self._slow_start.answered()
        return accepted

    async def _accept(self, entry: Entry, accepted: Accepted) -> Entry:
        """Record the request id, which is paid for. On a disk error: save it elsewhere, report it, retry at the end."""
        table, rescue = self._table, self._table.rescue
        rescue.keep(entry, accepted.request_id)

        def refused() -> None:
            self._surroundings.say(rescue.write_elsewhere(entry))

        move = partial(table.state.accept, entry, accepted.request_id, self._clock.wall())
        after = await self._retry_write(ACCEPT_TRIES, move, refused)
        rescue.recorded(entry)
        if after.cause is not None:  # in doubt: the service gave the same id to another submit
            self._money.settle(entry, None)
            self._health.unanswered(after.cause, entry)
        return after

    async def _came_back(self, entry: Entry, why: str, *, refused: bool) -> Entry:
        self._surroundings.tell(CameBack(entry=entry, refused=refused, why=why, at=self._clock.wall()))
        return await self._release(entry)

    async def _release(self, entry: Entry) -> Entry:
        """Record the release; without it the next start takes the submit for in doubt."""
        table = self._table
        self._money.release(entry)
        self._health.failure_limit.dropped(entry.id)
        move = partial(table.state.release, entry)
        return await self._retry_write(RELEASE_TRIES, move, lambda: table.rescue.unsent(entry))

    async def _retry_write(
        self, most: int, move: Callable[[], Entry], refused: Callable[[], None] = lambda: None
    ) -> Entry:
        """Retry a write after a disk error, up to ``most`` times, a second apart. Raises DiskError in the end.

        refused: called once, if freeing the ballast did not help.
        """
        tries = 0
        while True:
            try:
                return await self._table.queue.durable(move)
            except DiskError as error:
                self._table.failed(error)
                if self._table.ballast.drop():
                    continue
                tries += 1
                if tries == 1:
                    refused()
                if isinstance(error, TakenOver) or tries > most:
                    raise
                await asyncio.sleep(1.0)

    async def _service_answers(self) -> bool:
        """Free probes, when due, before the next submit: one read, and one submit for a model that does not exist, as
        the submit endpoint may fail alone.
        """
        api, health = self._api, self._health
        self._flow.waits.line = limits.SILENT
        if await pause(health.breaker.probe_at(self._clock.now()) - self._clock.now(), self._stop.nothing_new):
            return False
        if (problem := await _unanswered(api.model(self.model))) is None:
            health.answered()
            if (problem := await _unanswered(api.submit(NO_MODEL, {}))) is None:
                return True
            health.unanswered(problem.cause)
        health.submit_silent(problem)
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
