"""When to ask the service about a job. Pure: times are arguments, in seconds.

A poll costs a call; too few polls cost delay: the time from a job's end to the poll that notices it. The planner keeps
the run times of the newest jobs. It polls a job when the expected delay of waiting longer, averaged over those run
times, equals the price of one call (``price``). Beyond the longest run time, and until there are enough of them, the
gaps between polls grow with the age of the job.

A poll does not measure a run time: it shows that a job was unfinished at one age and finished at a later one. The
middle is used, or one of the kept run times between the two if many lie there. A slower service is learned as its jobs
replace older ones. Late polls would not notice a faster service, so some first polls are early; once too many first
polls find a finished job, all kept run times are dropped.

Until run times are known, polls of every job would only repeat each other: LEADERS jobs are polled, and the others
check now and then whether a run time is known (``Watch.follows``).
"""

from bisect import bisect_right
from collections import deque
from itertools import accumulate

from batcher.pacing.turns import Turns

PRICE = 0.018  # of the mean run time: price of a call, in seconds of delay
KEPT = 128  # run times
ENOUGH = 8  # run times before they are used
MANY = 0.25  # of the kept run times: if more lie between two polls, one of them is used
JITTER = 0.01  # of the age: spreads polls of jobs submitted together

SHORTEST, LONGEST = 0.05, 30.0  # seconds between two polls of a job
SHARE = 0.12  # of the age: gap while no run time applies
SPREAD = 0.25  # of such a gap

EARLY_EVERY, SUSPECT_EVERY = 12, 3  # every n-th first poll is early; the second: if the service may be faster
EARLY_FROM = 0.3  # of the planned age of a first poll
RARE = 0.01  # least probability of one observation
UNLIKELY = 1e-5  # probability of the last observations below which the service became faster
EXPECTED = 10.0  # factor on that probability after a first poll that finds the job unfinished
GOLDEN = 0.618  # steps of this size modulo 1 never repeat and are spread evenly

LEADERS = 64
FOLLOW, FOLLOW_SHARE = 0.2, 0.05  # seconds, and share of the age, until a follower checks again

LINE = 0.9  # of the expected time in the queue, after which a queued job is assumed to run
QUEUE_DECAY = 0.95  # of the queue statistics with each observation
FURTHEST = 30.0  # seconds, or the time waited so far if longer: most that a queue position may postpone a poll


class PollPlanner:
    """Learns run times from polls and plans polls from them.

    price: price of one call, in seconds of delay. None: PRICE times the mean run time; the mean delay is then 5 to
    12 % of the mean run time, and less if run times hardly vary.
    """

    def __init__(self, price: float | None = None) -> None:
        self._price = price
        self._newest: deque[float] = deque(maxlen=KEPT)
        self._times: list[float] = []  # the same, sorted; empty while there are too few
        self._sums = [0.0]  # prefix sums of the sorted run times
        self._row = 1.0  # probability that this many first polls in a row find a finished job
        self._firsts = 0
        self._turn = 0.0
        self._places = self._seconds = 0.0  # places that jobs moved up in the service's queue, and in how many seconds
        self.turns = Turns()
        self.leaders = 0  # leaders in flight
        self.changes = 0  # times that all run times were dropped

    def __repr__(self) -> str:
        median = f"median {self._times[len(self._times) // 2]:.3g} s" if self._times else "nothing known"
        seen = len(self._newest)
        return f"<PollPlanner {median}, jobs seen: {seen}, {self.changes} changes, {self.turns.booked} booked>"

    @property
    def knows(self) -> bool:
        """Whether enough run times are known for a plan."""
        return bool(self._times)

    def watch(self, began: float, *, learns: bool = True) -> "Watch":
        """The polls of a job that began at ``began``. learns: whether its run time is learned."""
        return Watch(self, began, learns=learns)

    def next_poll(self, age: float, draw: float) -> float:
        """The age at which to poll next, given that a poll at ``age`` found the job unfinished.

        draw: uniform in [0, 1).
        """
        times, sums = self._times, self._sums
        past = bisect_right(times, age)
        if past == len(times):
            return age + min(max(age * SHARE, SHORTEST), LONGEST) * (1.0 + SPREAD * draw)
        price = (self._price or PRICE * sums[-1] / len(times)) * (0.5 + draw) * (len(times) - past)
        low, high = past + 1, len(times)  # the most jobs that may have ended before it is worth a call
        while low < high:
            middle = (low + high + 1) // 2
            delay = times[middle - 1] * (middle - past) - (sums[middle] - sums[past])
            low, high = (middle, high) if delay <= price else (low, middle - 1)
        at = min((price + sums[low] - sums[past]) / (low - past), times[min(low, len(times) - 1)])
        return max(at * (1.0 + JITTER * draw), age + SHORTEST)

    def first_poll(self, draw: float) -> float:
        """The age for a first poll: as planned, but now and then earlier, to notice a faster service."""
        at = self.next_poll(0.0, draw)
        self._firsts += self.knows
        if self.knows and self._firsts % (EARLY_EVERY if self._row > RARE else SUSPECT_EVERY) == 0:
            return max(at * (EARLY_FROM + (1.0 - EARLY_FROM) * self._step()), SHORTEST)
        return at

    def learn(self, since: float, age: float) -> None:
        """Learn from a job that was unfinished at the age ``since`` and finished at ``age``."""
        if self._times and self._became_faster(since, age):
            self._newest.clear()
            self._times, self._row = [], 1.0
            self.changes += 1
        self._newest.append(self._run_time(since, age))
        if len(self._newest) >= ENOUGH:
            self._times = sorted(self._newest)
            self._sums = list(accumulate(self._times, initial=0.0))

    def line_moved(self, places: int, seconds: float) -> None:
        """A job moved up by ``places`` in the queue in ``seconds``. Backwards counts as 0."""
        self._places = self._places * QUEUE_DECAY + max(places, 0)
        self._seconds = self._seconds * QUEUE_DECAY + seconds

    @property
    def seconds_a_place(self) -> float:
        """Seconds for one place in the queue; 0 until a job has moved up."""
        return self._seconds / self._places if self._places else 0.0

    def _became_faster(self, since: float, age: float) -> bool:
        """Whether too many of the last jobs were finished at their first poll. A slower service needs no test."""
        chance = EXPECTED if since else max(bisect_right(self._times, age) / len(self._times), RARE)
        self._row = min(1.0, self._row * chance)
        return self._row < UNLIKELY

    def _run_time(self, since: float, age: float) -> float:
        low, high = bisect_right(self._times, since), bisect_right(self._times, age)
        if high - low <= MANY * len(self._times):
            return (since + age) / 2 if since else 0.8 * age
        place, part = divmod(low + self._step() * (high - low), 1.0)
        lower = self._times[int(place)]
        upper = min(self._times[min(int(place) + 1, len(self._times) - 1)], age)
        return lower + part * (upper - lower)

    def _step(self) -> float:
        self._turn = (self._turn + GOLDEN) % 1.0
        return self._turn


class Watch:
    """The polls of one job. Times are seconds on any one clock.

    While the service reports the job as queued, its age counts from when it should begin to run. follows: the time that
    ``next`` returned last is not for a poll, but for calling ``next`` again. planner: one for all jobs of the run.
    began: the time from which the job's age counts. learns: whether its run time teaches the planner.
    """

    __slots__ = ("_began", "_leads", "_learns", "_place", "_planner", "_polled_at", "_runs_from", "follows")

    def __init__(self, planner: PollPlanner, began: float, *, learns: bool) -> None:
        self._planner = planner
        self._learns = learns
        self._leads = self.follows = False
        self._began = self._runs_from = began
        self._polled_at: float | None = None
        self._place: tuple[float, int] | None = None  # time and queue position of the last poll

    def __repr__(self) -> str:
        polled = "not polled" if self._polled_at is None else f"polled {self._polled_at - self._began:.3g} s later"
        return f"<Watch began {self._began:.3f}, {polled}{', follows' * self.follows}{', leads' * self._leads}>"

    def next(self, now: float, draw: float) -> float:
        """When to poll next, or to ask this again, after ``now``. draw: uniform in [0, 1)."""
        planner = self._planner
        self.follows = self._is_follower(now)
        if self.follows:
            return now + (FOLLOW + FOLLOW_SHARE * max(now - self._runs_from, 0.0)) * (1.0 + SPREAD * (draw - 0.5))
        if self._polled_at is None:
            age = planner.first_poll(draw)
        else:
            age = planner.next_poll(max(self._polled_at - self._runs_from, 0.0), draw)
        return planner.turns.book(now, self._runs_from + age, now + SHORTEST)

    def _is_follower(self, now: float) -> bool:
        planner = self._planner
        if planner.knows or self._leads:
            return False
        if planner.leaders < (LEADERS if self._learns else LEADERS // 2):  # some are kept for those that teach
            self._leads = True
            planner.leaders += 1
            return False
        return now - (self._polled_at or self._began) <= LONGEST  # leaders may never finish

    def missed(self, at: float, place: int | None) -> None:
        """A poll found the job unfinished. place: its queue position, 0 for the next, None if unknown."""
        self._polled_at = at
        if place is None:
            return
        if self._place is not None:
            self._planner.line_moved(self._place[1] - place, at - self._place[0])
        self._place = at, place
        wait = LINE * (place + 1) * self._planner.seconds_a_place
        self._runs_from = at + min(wait, max(FURTHEST, at - self._began))

    def finished(self, at: float) -> None:
        """A poll found the job finished."""
        self._planner.leaders -= self._leads
        self._leads = False
        if self._learns:
            since = 0.0 if self._polled_at is None else max(self._polled_at - self._runs_from, 0.0)
            self._planner.learn(since, max(at - self._runs_from, since + 1e-3))
