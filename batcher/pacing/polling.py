"""When to ask the service about a job. Pure: times are arguments, in seconds.

Asking costs a call; not asking costs delay, the time from a job's end to the poll that finds it ended. The planner
keeps the run times of the newest jobs, and polls a job at the moment up to which waiting costs as much delay, on
average over those run times, as one call is worth (``price``). Beyond the longest of them, and while there are too few,
gaps grow with the age of the job.

A poll does not see a run time, only that a job was unfinished at one age and finished at a later one: the middle is
taken for it, or one of the kept run times between the two where many lie there. A slower service is
learned as its jobs push out the others. A faster one would not be noticed by polls that come late: every so often a
first poll comes early, and once too many first polls find a job ended, everything from before is forgotten.

While nothing is known, polls of every job would say the same over and over: of many in flight LEADERS are polled, the
others only come back now and then to see whether something is known (``Watch.follows``).
"""

from bisect import bisect_right
from collections import deque
from itertools import accumulate

from batcher.pacing.turns import Turns

PRICE = 0.018  # of the mean run time: what a call is worth, in seconds of delay
KEPT = 128  # run times
ENOUGH = 8  # of them before a plan is made
MANY = 0.25  # of the kept run times: where so many lie between two polls, one of them is taken
JITTER = 0.01  # of the age: polls of jobs submitted together are apart

SHORTEST, LONGEST = 0.05, 30.0  # seconds between two polls of a job
SHARE = 0.12  # of the age: gaps where nothing is known
SPREAD = 0.25  # of such a gap

EARLY_EVERY, SUSPECT_EVERY = 12, 3  # first polls; the second once the service may have become faster
EARLY_FROM = 0.3  # of the age of a first poll
RARE = 0.01  # the chance of what no kept run time explains
UNLIKELY = 1e-5  # chance of the last jobs at which the service is taken to have become faster
EXPECTED = 10.0  # times that chance, after a job that a first poll found unfinished
GOLDEN = 0.618  # steps of this size in [0, 1) never repeat, and are spread evenly

LEADERS = 64
FOLLOW, FOLLOW_SHARE = 0.2, 0.05  # seconds, and share of the age, until a follower comes back

LINE = 0.9  # of the time that the line should take, until a job that stands in it is taken to run
LINE_MEMORY = 0.95  # of what was seen of the line, each time a place is seen again
FURTHEST = 30.0  # seconds, or as long as the job has waited, whichever is more: places may mean nothing


class PollPlanner:
    """price: seconds of delay that one call is worth; None: PRICE of the mean run time, which makes the mean delay 5 to
    12 % of that, and less where run times hardly differ.
    """

    def __init__(self, price: float | None = None) -> None:
        self._price = price
        self._newest: deque[float] = deque(maxlen=KEPT)
        self._times: list[float] = []  # the same, sorted; empty while there are too few
        self._sums = [0.0]  # of the first n of them
        self._row = 1.0  # the chance that so many first polls find a job ended
        self._firsts = 0
        self._turn = 0.0
        self._places = self._seconds = 0.0  # that jobs were seen to move up in the service's line, and in what time
        self.turns = Turns()
        self.leaders = 0  # jobs in flight
        self.changes = 0  # how often everything was forgotten

    def __repr__(self) -> str:
        median = f"median {self._times[len(self._times) // 2]:.3g} s" if self._times else "nothing known"
        seen = len(self._newest)
        return f"<PollPlanner {median}, jobs seen: {seen}, {self.changes} changes, {self.turns.booked} booked>"

    @property
    def knows(self) -> bool:
        """Whether enough run times are known for a plan."""
        return bool(self._times)

    def watch(self, began: float, *, learns: bool = True) -> "Watch":
        """A job that began then is to be polled. learns: whether it teaches anything."""
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
        """The age for a first poll: as planned, but every so often sooner, to see what is never seen otherwise."""
        at = self.next_poll(0.0, draw)
        self._firsts += self.knows
        if self.knows and self._firsts % (EARLY_EVERY if self._row > RARE else SUSPECT_EVERY) == 0:
            return max(at * (EARLY_FROM + (1.0 - EARLY_FROM) * self._step()), SHORTEST)
        return at

    def learn(self, since: float, age: float) -> None:
        """A job was unfinished at the age ``since``, and finished at ``age``."""
        if self._times and self._became_faster(since, age):
            self._newest.clear()
            self._times, self._row = [], 1.0
            self.changes += 1
        self._newest.append(self._run_time(since, age))
        if len(self._newest) >= ENOUGH:
            self._times = sorted(self._newest)
            self._sums = list(accumulate(self._times, initial=0.0))

    def line_moved(self, places: int, seconds: float) -> None:
        """A job was seen to move up by so many places in so many seconds; backwards counts as not at all."""
        self._places = self._places * LINE_MEMORY + max(places, 0)
        self._seconds = self._seconds * LINE_MEMORY + seconds

    @property
    def seconds_a_place(self) -> float:
        """How fast the line moves; 0 while nobody was seen to move."""
        return self._seconds / self._places if self._places else 0.0

    def _became_faster(self, since: float, age: float) -> bool:
        """Whether too many of the last jobs were finished at their first poll. A slower service needs no such test."""
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

    While the service says that the job stands in line, its age counts from when it should begin to run. follows: what
    ``next`` answered last is not the time for a poll, but for asking ``next`` again.
    """

    __slots__ = ("_began", "_leads", "_learns", "_place", "_planner", "_polled_at", "_runs_from", "follows")

    def __init__(self, planner: PollPlanner, began: float, *, learns: bool) -> None:
        self._planner = planner
        self._learns = learns
        self._leads = self.follows = False
        self._began = self._runs_from = began
        self._polled_at: float | None = None
        self._place: tuple[float, int] | None = None  # in line: when it was last seen, and which

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
        if planner.leaders < LEADERS and self._learns:
            self._leads = True
            planner.leaders += 1
            return False
        return now - (self._polled_at or self._began) <= LONGEST  # else no leader may ever come back

    def missed(self, at: float, place: int | None) -> None:
        """A poll found it unfinished; place: in the line, 0 the next, if it is known to stand there."""
        self._polled_at = at
        if place is None:
            return
        if self._place is not None:
            self._planner.line_moved(self._place[1] - place, at - self._place[0])
        self._place = at, place
        wait = LINE * (place + 1) * self._planner.seconds_a_place
        self._runs_from = at + min(wait, max(FURTHEST, at - self._began))

    def found(self, at: float) -> None:
        """A poll found it ended."""
        self._planner.leaders -= self._leads
        self._leads = False
        if self._learns:
            since = 0.0 if self._polled_at is None else max(self._polled_at - self._runs_from, 0.0)
            self._planner.learn(since, max(at - self._runs_from, since + 1e-3))
