"""The step that costs money: PENDING to RUNNING.

Submits leave in single file, at the moments the pace gives. A job is written down as leaving just before its moment
(by as much as writing takes, measured), so that a kill leaves in doubt only what is in the air and what was about to
be: the rate is kept to the millisecond and the disk never holds it up.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from batcher.core.circuit_breaker import CircuitBreaker
from batcher.core.errors import AccountError, DiskError, NotFound, NotSent, Refused, Rejected, Unclear
from batcher.core.job import Accepted, Entry, State
from batcher.core.retry import REFUSALS
from batcher.pacing import LATE, Opening, Pace
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason, pause

CLOCK = 1e-6  # seconds: less than this is now
GLANCE = 0.002  # seconds between two looks at whether the opening lets one more leave
AT_DOOR = 0.5  # seconds that one written down as leaving may be kept waiting: a kill meanwhile leaves it in doubt
INSISTENCE = 30  # seconds to go on trying to write down a request id that the disk did not take
PERSISTENCE = 3  # the same, for what costs nobody anything but a question to a person


class Slot:
    """A place at the service, held from before the submit until the result is known."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def hold(self) -> None:
        if not self._held:
            await self._slots.acquire()
            self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()


class Submitter:
    """model: what a free probe reads from the catalog while the service is ill. in_vain: whether no file can be had."""

    def __init__(self, tools: RunContext, model: str, in_vain: Callable[[], bool]) -> None:
        self.tools = tools
        self._in_vain = in_vain
        self.model = model
        self.pace = Pace(tools.settings.rate)
        self._opening = Opening()
        self.breaker = CircuitBreaker()
        self._line = asyncio.Lock()  # whose turn it is to be written down as leaving
        self._at_door = 0  # written down, waiting for their moment
        self._ahead = 0  # written down, not left yet
        self._lead = 0.0  # seconds that writing down takes

    async def submit(self, entry: Entry, slot: Slot) -> Entry:
        """PENDING to RUNNING, FAILED or IN_DOUBT; PENDING still when the run stops first. Raises AccountError."""
        await slot.hold()
        unsent = 0
        while True:
            async with self._line:
                if not await self._turn(entry):
                    return entry
                self._ahead += 1
                alone = self.breaker.open  # an ill service is tried by one at a time: the others wait in line
                if alone:
                    after = await self._send(entry)
            if not alone:
                after = await self._send(entry)
            if after.state is not State.PENDING:
                return after
            unsent += 1
            if self.breaker.failures:
                await pause(self.tools.delay(REFUSALS, unsent, entry), self.tools.stop.nothing_new)

    async def _turn(self, entry: Entry) -> bool:
        """Waits until one more submit may be written down. False: none may any more."""
        tools, stop = self.tools, self.tools.stop
        while not stop.nothing_new.is_set():
            if tools.past_deadline is not None and tools.past_deadline():
                stop.request(Reason.DEADLINE, "the deadline is reached")
            elif (wait := self._due() - tools.now()) > CLOCK:
                await pause(wait if tools.past_deadline is None else min(wait, 1.0), stop.nothing_new)
            elif self._opening.full(tools.now(), self._ahead):
                await pause(GLANCE, stop.nothing_new)
            elif self._in_vain():
                await pause(1.0, stop.nothing_new)
            elif self.breaker.open and not await self._service_answers():
                continue
            elif tools.budget.reserve(entry.job.images):
                return True
            elif tools.budget.reserved > 0:
                await self._money_moves()
            else:
                stop.request(Reason.BUDGET, tools.budget.in_words())
        return False

    def _due(self) -> float:
        """When the next submit should be written down so that it can leave on time; in the past when it is late."""
        due = max(self.pace.due, self.tools.now() - LATE)
        return due + self._ahead * self.pace.interval - self._lead

    async def _money_moves(self) -> None:
        """The budget is reserved to the last cent: some of it may come back when a job ends."""
        self.tools.money_moved.clear()
        while not self.tools.money_moved.is_set() and not await pause(0.2, self.tools.stop.nothing_new):
            pass

    async def _send(self, entry: Entry) -> Entry:
        """Writes the intent down, lets the submit leave at its moment, writes the outcome down."""
        tools = self.tools
        before = tools.now()
        try:
            entry = await tools.queue.durable(tools.state.claim, entry, tools.wall())
            took = min(0.25, tools.now() - before)
            self._lead += (0.2 if took > self._lead else 0.02) * (took - self._lead)  # all but one in ten take less
            may_leave = await self._moment()
        finally:
            self._ahead -= 1
        if not may_leave or tools.stop.nothing_new.is_set():
            return await self._release(entry)
        return await self._post(entry)

    async def _moment(self) -> bool:
        """Waits for it. False when it was put off: the service has refused another meanwhile.

        Each waits by itself, so that a loop that comes round late lets go of all that are due; and books when it
        leaves, not before, so that its lateness can't crowd it together with the next.
        """
        tools = self.tools
        await tools.call_turn()
        wait = self.pace.due + self._at_door * self.pace.interval - tools.now()
        self._at_door += 1
        try:
            while wait > CLOCK:
                if wait > AT_DOOR:
                    return False
                await asyncio.sleep(wait)
                wait = self.pace.due - tools.now()
            self.pace.reserve(tools.now())
            return True
        finally:
            self._at_door -= 1

    async def _post(self, entry: Entry) -> Entry:
        tools, left_at = self.tools, self.tools.now()
        tools.fuse.began(entry.id)
        self._opening.left(left_at)
        try:
            accepted = await self._answer(entry)
        except Unclear as problem:
            self.breaker.failed(tools.now())
            tools.unheard(problem)
            tools.settle(entry, None)
            tools.fuse.dropped(entry.id)
            tools.tally.submitted(left_at)
            return await tools.queue.durable(tools.state.doubt, entry, problem.cause)
        except NotSent as problem:
            self.breaker.failed(tools.now())
            tools.unheard(problem)
            return await self._release(entry)
        except Refused as problem:
            self._answered()
            self._opening.close()
            self.pace.refused(tools.now(), problem.retry_after, left_at)
            tools.tally.rate_limited += 1
            return await self._release(entry)
        except Rejected as problem:
            self._answered()
            tools.came_to(entry, problem.cause)
            tools.unspend(entry)
            tools.tally.submitted(left_at)
            return await tools.queue.durable(tools.state.reject, entry, problem.cause, tools.wall())
        except AccountError:
            await self._release(entry)
            raise
        self._answered()
        tools.tally.submitted(left_at)
        return await self._accept(entry, accepted)

    async def _answer(self, entry: Entry) -> Accepted:
        try:
            return await self.tools.api.submit(entry.job.model, entry.job.inputs)
        finally:
            self._opening.answered()

    async def _accept(self, entry: Entry, accepted: Accepted) -> Entry:
        """The id is money: where no disk takes it, it is at least said."""
        tools = self.tools
        try:
            return await self._insist(INSISTENCE, tools.state.accept, entry, accepted.request_id, tools.wall())
        except DiskError:
            said = f"request {accepted.request_id} of job {entry.job.key} was accepted but could not be recorded"
            tools.tally.warn(said)
            raise

    async def _release(self, entry: Entry) -> Entry:
        """A release that is not on the disk is a submit in doubt to the next start."""
        self.tools.unspend(entry)
        self.tools.fuse.dropped(entry.id)
        return await self._insist(PERSISTENCE, self.tools.state.release, entry)

    async def _insist(self, seconds: int, move: Callable[..., Entry], *facts: Any) -> Entry:
        """A disk that does not take it gets our ballast, and time. Raises DiskError at last."""
        tools = self.tools
        for _ in range(seconds):
            try:
                return await tools.queue.durable(move, *facts)
            except DiskError as error:
                tools.stop.request(Reason.DISK, error.message, error.hint)
                if not tools.ballast.drop():
                    await asyncio.sleep(1.0)
        return await tools.queue.durable(move, *facts)

    def _answered(self) -> None:
        self.breaker.answered()
        self.tools.heard()

    async def _service_answers(self) -> bool:
        """A free read, when its time has come, before the next submit is risked."""
        tools = self.tools
        if await pause(self.breaker.probe_at(tools.now()) - tools.now(), tools.stop.nothing_new):
            return False
        try:
            await tools.api.model(self.model)
        except (NotSent, Unclear) as problem:
            self.breaker.failed(tools.now())
            tools.unheard(problem)
            return False
        except (Refused, Rejected, NotFound):
            pass  # an answer all the same
        tools.heard()
        return True
