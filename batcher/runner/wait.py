"""The polling step: from RUNNING to the job's outcome. Polls are free."""

import asyncio
from dataclasses import dataclass

from batcher.client.protocol import RUNNING
from batcher.core.errors import CallError, Cause, NotFound, NotSent, Refused, Rejected, Unclear
from batcher.core.job import Answer, CancelledThere, Entry, FailedThere, Succeeded, Waiting
from batcher.core.retry import EARLY, FINISHED, READS, decide, draw
from batcher.pacing.polling import PollPlanner
from batcher.runner.run_context import RunContext
from batcher.runner.stop import pause

WATCHED = 15.0  # seconds that a job is polled at least before it times out, in case the clock jumped
MOST_MISSES = 5  # unanswered reads of a job past its timeout, while reads of others work
PROBE_EVERY = 60.0  # seconds between probes, for all jobs together
MOST_EMPTY = 3  # reads of a success without a file before it is accepted


@dataclass(slots=True)
class Trouble:
    """Failed reads of one job in a row.

    denials: answers that seem to reject the request. count, since: number and start of unreadable answers. misses:
    those during which reads of other jobs worked.
    """

    denials: int = 0
    count: int = 0
    since: float = 0.0
    misses: int = 0


class Waiter:
    """The polls of one run. context: its parts. planner: learns the run times of its jobs."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._clock, self._table, self._health, self._flow = context.clock, context.table, context.health, context.flow
        self.planner = PollPlanner()
        self._unasked: set[int] = set()  # jobs of earlier processes that were not polled yet
        self._all_asked = asyncio.Event()
        self._timers: dict[int, asyncio.Timeout] = {}  # until the next poll, by job id
        self._hurried: set[int] = set()  # jobs to be polled now, whatever is planned
        self._odd_words: set[str] = set()
        self._probe_at = float("-inf")  # when the next probe of the service is allowed
        self._read_at = float("-inf")  # when a read of any job last worked

    async def wait(self, entry: Entry) -> Entry:
        """RUNNING to READY, PENDING (to be paid again), FAILED or CANCELLED; stays RUNNING if the run stops first.
        Raises AccountError.
        """
        context, now = self.context, self._clock.now
        first_poll, (began, ours) = now(), self._began(entry)
        watch = self.planner.watch(began, learns=ours)
        poll_at = watch.next(now(), draw(entry, 0)) if ours else now()
        polls = empty = 0
        trouble = Trouble()
        while not await self._pause(entry, poll_at - now()):
            if watch.follows and entry.id not in self._hurried:
                poll_at = watch.next(now(), draw(entry, polls))
                continue
            polls += 1
            self._hurried.discard(entry.id)
            try:
                await self._flow.read_turn()
                asked_at = now()
                answer = await context.api.poll(entry.request_id or "")
            except CallError as problem:
                after = await self._unread(entry, trouble, problem)
                if isinstance(after, Cause):
                    return await self._give_up(entry, after)
                poll_at = now() + after
                continue
            finally:
                self.asked(entry)
            trouble, age = Trouble(), self._note_read(answer) - began
            if isinstance(answer, Waiting):
                if min(age, (now() - first_poll) * WATCHED) > context.settings.timeout:
                    return await self._give_up(entry, _too_long(answer, age))
                watch.missed(asked_at, answer.queue_position)
                poll_at = watch.next(now(), draw(entry, polls))
            elif isinstance(answer, FailedThere) and answer.cause.kind == "no_output":
                empty += 1
                if empty > MOST_EMPTY:  # it is paid for: a new submit costs again, polling later is free
                    return await self._give_up(entry, answer.cause)
                poll_at = now() + 1.0
            else:
                watch.finished(asked_at)
                return await self._conclude(entry, answer)
        return entry

    async def _pause(self, entry: Entry, seconds: float) -> bool:
        """Sleep until the next poll. True if the run stops first."""
        timer = self._timers[entry.id] = asyncio.timeout(seconds)
        try:
            return await pause(seconds, self.context.stop.leave, timer)
        finally:
            del self._timers[entry.id]

    def poll_all_now(self) -> None:
        """Poll every job at the service, at the pace of reads: some of them may have been cancelled there."""
        self._hurried.update(self._timers)
        for timer in self._timers.values():
            if not timer.expired():
                timer.reschedule(self._clock.now())

    def _began(self, entry: Entry) -> tuple[float, bool]:
        """When the job was submitted, on the loop's clock, and whether this process did it."""
        clock = self._clock
        submitted = entry.submitted_at or clock.started
        left_at = self._flow.left_at.pop(entry.id, None)  # the wall clock may have been set since
        began = clock.now() - max(0.0, clock.wall() - submitted) if left_at is None else left_at
        return began, submitted >= clock.started

    def _note_read(self, answer: Answer) -> float:
        """Note that a poll was answered, and return the time. Warn once of each status that batcher doesn't know."""
        self._health.answered()
        self._health.fetched()
        self._read_at = self._clock.now()
        if isinstance(answer, Waiting) and answer.status not in RUNNING:
            self._warn_of(answer.status)
        return self._read_at

    def _warn_of(self, word: str) -> None:
        if word not in self._odd_words and len(self._odd_words) < 10:
            self._odd_words.add(word)
            self.context.tally.warn(f"the service says {word!r}, a status batcher doesn't know: taken as still running")

    async def _conclude(self, entry: Entry, answer: Answer) -> Entry:
        money, queue, state, wall = self.context.money, self._table.queue, self._table.state, self._clock.wall
        if isinstance(answer, Succeeded):
            if entry.finished_at is None:  # otherwise it was settled before, and this is a new link
                money.settle(entry, answer.cost_usd)
            when = answer.finished_at or wall()
            cost_usd = entry.cost_usd if answer.cost_usd is None else answer.cost_usd
            return await queue.durable(state.complete, entry, answer.urls, cost_usd, when)
        if entry.finished_at is not None:  # it had a result and is paid for: a new submit costs again
            return await self._give_up(entry, _taken_back(answer))
        if isinstance(answer, FailedThere):
            money.settle(entry, answer.cost_usd, failed=True)
            self._health.ended(entry, answer.cause)
            again = not answer.final and entry.attempts < self.context.settings.attempts
            return await queue.durable(state.fail_there, entry, answer.cause, answer.cost_usd, wall(), again=again)
        assert isinstance(answer, CancelledThere)
        money.release(entry)
        self._health.failure_limit.dropped(entry.id)
        return await queue.durable(state.cancel, entry, wall())

    async def _give_up(self, entry: Entry, cause: Cause) -> Entry:
        """Fail a job that is paid for and has no result; `batcher retry` asks for it again, free."""
        self._health.fetched()
        if entry.finished_at is None:
            self.context.money.settle(entry, None)
        self._health.ended(entry, cause)
        return await self._table.queue.durable(self._table.state.fail_here, entry, cause)

    async def _unread(self, entry: Entry, trouble: Trouble, problem: CallError) -> float | Cause:
        """After a failed read: seconds until the next, or why another would be pointless."""
        if isinstance(problem, Refused):
            self._unasked.clear()  # reads have to wait: submits need not wait for them
            self._all_asked.set()
        if isinstance(problem, NotFound | Rejected):
            trouble.denials += 1
            policy = EARLY if self._health.patient else FINISHED
            wait = decide(policy, trouble.denials, draw(entry, trouble.denials))
            if wait is not None:
                return wait
            return _denied(problem) if entry.finished_at is None else problem.cause.as_gone()
        trouble.count += 1
        if trouble.count == 1:
            trouble.since = self._clock.now()
        self._health.stuck(problem.cause)
        trouble.misses += await self._answers_others(entry, trouble.since)
        if trouble.misses >= MOST_MISSES:
            return _unanswered(problem, self._clock.now() - trouble.since)
        return self._delay(problem, trouble.count, entry)

    def _delay(self, problem: CallError, count: int, entry: Entry) -> float:
        """Seconds until the next try of a read that got no answer ``count`` times."""
        if isinstance(problem, Refused):
            self._health.answered()
            if problem.cause.http_status != 503:  # a 503 is about the service's state, not about our rate
                self._flow.reads.refused(self._clock.now(), problem.retry_after)
            self.context.tally.rate_limited += 1
        else:
            self._health.silent(problem)
        return decide(READS, count, draw(entry, count), asked=problem.retry_after) or 0.0  # it has no end

    async def _answers_others(self, entry: Entry, since: float) -> bool:
        """Whether only this job fails to be read, past its timeout, while the service answers otherwise.

        The run waits for the end of an outage, but not for one request that never gets a readable answer.
        """
        now = self._clock.now()
        if now - since <= self.context.settings.timeout:
            return False
        if self._read_at > since:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE_EVERY
        try:  # no other job to compare with: a free read of something else
            await self.context.api.model(entry.job.model)
        except (NotSent, Unclear, Refused):
            return False
        except (NotFound, Rejected):
            pass  # also an answer
        self._health.answered()
        return True

    def will_ask(self, entry: Entry) -> None:
        """Note a job of an earlier process: it is polled before anything new is submitted."""
        self._unasked.add(entry.id)
        self._all_asked.clear()

    def asked(self, entry: Entry) -> None:
        self._unasked.discard(entry.id)
        if not self._unasked:
            self._all_asked.set()

    async def all_asked(self) -> None:
        if self._unasked:
            await self._all_asked.wait()


def _denied(problem: NotFound | Rejected) -> Cause:
    cause = problem.cause
    kind = "expired" if isinstance(problem, NotFound) else cause.kind
    return Cause(kind=kind, message=cause.message, http_status=cause.http_status, code=cause.code)


def _unanswered(problem: CallError, seconds: float) -> Cause:
    cause = problem.cause
    message = f"no readable answer about this request for {seconds:.0f} s, while others got theirs: {cause.message}"
    return Cause(kind="unanswered", message=message[:500], http_status=cause.http_status, code=cause.code)


def _taken_back(answer: Answer) -> Cause:
    if isinstance(answer, FailedThere):
        return answer.cause.as_gone()
    return Cause(kind="gone", message="the service says it was cancelled")


def _too_long(answer: Waiting, age: float) -> Cause:
    return Cause(kind="timeout", message=f"still {answer.status or 'unfinished'} {age:.0f} s after it was submitted")
