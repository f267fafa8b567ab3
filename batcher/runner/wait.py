"""The step that asks: RUNNING to whatever came of it. Free, however often it takes."""

import asyncio

from batcher.errors import Cause, NotFound, NotSent, Refused, Rejected, Unclear
from batcher.job import Answer, CancelledThere, Entry, FailedThere, Succeeded, Waiting
from batcher.retry import EARLY, GiveUp, decide
from batcher.runner.submit import Slot
from batcher.runner.tools import Tools, draw
from batcher.schedule import PollPlanner
from batcher.stop import pause

WATCHED = 15.0  # a clock that jumped must not end a job: it was watched for at least this part of its time, too
MOST_EMPTY = 3  # reads of a success without a file before it is believed
KNOWN_WORDS = frozenset(
    {"in_queue", "in_progress", "queued", "pending", "waiting", "starting", "processing", "running"}
)  # what RunComfy's documents and clients use


class Waiter:
    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.planner = PollPlanner()
        self._unasked: set[int] = set()  # jobs of earlier processes that were not asked about yet
        self._all_asked = asyncio.Event()
        self._odd_words: set[str] = set()

    async def wait(self, entry: Entry, slot: Slot) -> Entry:
        """RUNNING to READY, PENDING (to be paid again), FAILED or CANCELLED; RUNNING still when the run stops first.

        Raises AccountError.
        """
        tools = self.tools
        submitted = entry.submitted_at or tools.started
        asked_since = tools.now()
        began = asked_since - max(0.0, tools.wall() - submitted)
        ours = submitted >= tools.started
        look_at = began + self.planner.next_look(0.0, draw(entry, 0)) if ours else tools.now()
        looks = troubles = denials = empty = 0
        while not await pause(look_at - tools.now(), tools.stop.leave):
            looks += 1
            try:
                await tools.call_turn()
                answer = await tools.api.look(entry.request_id or "")
            except (NotSent, Unclear, Refused) as problem:
                troubles += 1
                look_at = tools.now() + tools.trouble(problem, troubles, entry)
                continue
            except (NotFound, Rejected) as problem:
                denials += 1
                again = decide(EARLY, denials, draw(entry, denials))
                if isinstance(again, GiveUp):
                    return await self._give_up(entry, _denied(problem))
                look_at = tools.now() + again.delay
                continue
            finally:
                self.asked(entry)
            tools.heard()
            troubles, denials, age = 0, 0, tools.now() - began
            if isinstance(answer, Waiting):
                self._notice(answer)
                if min(age, (tools.now() - asked_since) * WATCHED) > tools.settings.timeout:
                    return await self._give_up(entry, _too_long(answer, age))
                look_at = began + self.planner.next_look(age, draw(entry, looks))
            elif isinstance(answer, FailedThere) and answer.cause.kind == "no_output":
                empty += 1
                if empty > MOST_EMPTY:  # paid for: a new submit would pay again, asking later is free
                    return await self._give_up(entry, answer.cause)
                look_at = tools.now() + 1.0
            else:
                if ours:
                    self.planner.learn(age, first_look=looks == 1)
                return await self._conclude(entry, slot, answer)
        return entry

    async def _conclude(self, entry: Entry, slot: Slot, answer: Answer) -> Entry:
        tools, state = self.tools, self.tools.state
        if isinstance(answer, Succeeded):
            slot.release()
            tools.fuse.succeeded()
            if entry.finished_at is None:  # else it was settled when it finished; this is only a fresh link
                tools.settle(entry, answer.cost_usd)
            when = answer.finished_at or tools.wall()
            cost_usd = entry.cost_usd if answer.cost_usd is None else answer.cost_usd
            return await tools.queue.durable(state.complete, entry, answer.urls, cost_usd, when)
        if isinstance(answer, FailedThere):
            tools.settle(entry, answer.cost_usd, failed=True)
            tools.failed(answer.cause)
            again = not answer.final and entry.attempts < tools.settings.attempts
            return await tools.queue.durable(
                state.fail_there, entry, answer.cause, answer.cost_usd, tools.wall(), again=again
            )
        assert isinstance(answer, CancelledThere)
        tools.unspend(entry)
        return await tools.queue.durable(state.cancel, entry, tools.wall())

    async def _give_up(self, entry: Entry, cause: Cause) -> Entry:
        """Paid for, not to be had: failed here, and `batcher retry` asks for it again, free."""
        if entry.finished_at is None:
            self.tools.settle(entry, None)
        return await self.tools.queue.durable(self.tools.state.fail_here, entry, cause)

    def will_ask(self, entry: Entry) -> None:
        """A job of an earlier process: it is asked about before anything new is submitted."""
        self._unasked.add(entry.id)
        self._all_asked.clear()

    def asked(self, entry: Entry) -> None:
        self._unasked.discard(entry.id)
        if not self._unasked:
            self._all_asked.set()

    async def all_asked(self) -> None:
        if self._unasked:
            await self._all_asked.wait()

    def _notice(self, answer: Waiting) -> None:
        word = answer.status
        if word not in KNOWN_WORDS and word not in self._odd_words and len(self._odd_words) < 10:
            self._odd_words.add(word)
            self.tools.tally.warn(f"the service says {word!r}, a status batcher doesn't know: taken as still running")


def _denied(problem: NotFound | Rejected) -> Cause:
    said = problem.cause
    kind = "expired" if isinstance(problem, NotFound) else said.kind
    return Cause(kind=kind, message=said.message, http_status=said.http_status, code=said.code)


def _too_long(answer: Waiting, age: float) -> Cause:
    return Cause(kind="timeout", message=f"still {answer.status or 'unfinished'} {age:.0f} s after it was submitted")
