"""The poll planner: what was learned, the plan made of it, and every job's next look.

While nothing is known, looks at every job would tell the same thing over and over: of many in flight LEADERS are looked
at often, and the others follow. A follower is not looked at while no job was seen to end at so young an age; it only
comes back every now and then to hear whether that is still so (at the latest after FOLLOW_SHARE of its age and
FOLLOW), and so waits no longer than that for what the leaders found out. The first few leaders look early, each at
another age, for a service that takes no time at all; nobody else leads before an age worth a look.
"""

from batcher.pacing.polling.polls import Plan, best_polls
from batcher.pacing.polling.queue_line import Line
from batcher.pacing.polling.run_times import Look, Memory, RunTimes
from batcher.pacing.polling.turns import Turns

DELAY = 0.055  # of the mean run time: the aim; half as much again is what comes of it
LOWEST_PRICE, FIRST_PRICE, HIGHEST_PRICE = 0.008, 0.03, 0.1  # of the mean run time
TRIES = 3  # prices tried when a plan is made

FIRST_GUESS = 1.0  # the first look while nothing is known, and from then on
EARLY_BIRDS = 16  # jobs of a run that are looked at before that
SHARE = 0.12  # of the age: gaps where nothing is known,
SHORTEST, LONGEST = 0.05, 30.0  # but for these
LEADERS = 128
FOLLOW, FOLLOW_SHARE = 0.8, 0.05
FOLLOW_AT_FIRST, FOLLOW_SHARE_AT_FIRST = 0.1, 0.5  # the less at a small age
SPREAD = 0.25  # of a gap

PROBE_EVERY, SUSPECT_EVERY = 14, 3  # jobs
FAR_EVERY = 3  # probes
FAR_FROM, FAR_SPAN = 0.35, 0.55  # of the age of the first look: finds a service twice as fast or faster
FINEST = 1e-3  # between two looks, for what is learned


class PollPlanner:
    """price: seconds of delay that one call is worth. None, for the person who waits: what makes the mean delay about
    9 % of the mean run time, but between LOWEST_PRICE and HIGHEST_PRICE of that: where run times hardly differ less
    delay is free, and where nothing can be foretold it is not worth any number of calls.
    """

    def __init__(self, price: float | None = None) -> None:
        self.memory = Memory()
        self.plan: Plan | None = None
        self._price = price
        self.turns = Turns()
        self.line = Line()
        self.leaders = 0  # jobs in flight
        self._firsts = self._probes = self._early = 0

    def watch(self, began: float, *, learns: bool = True) -> "Watch":
        """A job that began then is to be looked at. learns: whether it teaches anything."""
        return Watch(self, began, learns=learns)

    def learn(self, look: Look) -> None:
        if self.memory.learn(look):
            times = self.memory.times
            self.plan = None if times is None else self._planned(times)

    def next_look(self, age: float, draw: float) -> float:
        """The age at which to look next, given that a look at ``age`` found the job unfinished.

        draw: uniform in [0, 1).
        """
        if self.plan is None:
            quiet = self.memory.quiet_until(FIRST_GUESS)
            if age < quiet:
                return max(quiet * (1.0 + SPREAD * (draw - 0.5)), age + SHORTEST)
        elif age < self.plan.times.longest:
            low, high = self.plan.range_after(age)
            return max(low + draw * (high - low), age + SHORTEST)
        return age + min(max(age * SHARE, SHORTEST), LONGEST) * (1.0 + SPREAD * draw)

    def first_look(self, draw: float) -> float:
        """The age for a first look: as planned, but every so often sooner, to see what is never seen otherwise.

        Were every first look as late as it is best, a service that became faster would go unnoticed, and where in
        the time before the jobs end could not be told.
        """
        at = self.next_look(0.0, draw)
        times = self.memory.times
        if times is None:
            return at
        self._firsts += 1
        far = self.memory.suspects_faster and self._firsts % SUSPECT_EVERY == 0
        if not far and self._firsts % PROBE_EVERY:
            return at
        self._probes += 1
        share = times.share_ended(at)
        if far or self._probes % FAR_EVERY == 0:
            return max(at * (FAR_FROM + FAR_SPAN * draw), SHORTEST)
        return max(times.age_at(draw * share), SHORTEST)

    def leading_age(self, draw: float) -> float:
        """The age from which one more job may lead, while nothing is known."""
        self._early += 1
        if self._early <= EARLY_BIRDS:
            return float(SHORTEST * (FIRST_GUESS / SHORTEST) ** ((self._early - 1) / EARLY_BIRDS)) - SHORTEST
        return self.memory.quiet_until(FIRST_GUESS) * (1.0 + SPREAD * (draw - 0.5)) - SHORTEST

    def _planned(self, times: RunTimes) -> Plan:
        if self._price is not None:
            return best_polls(times, self._price)
        lowest, highest, aim = LOWEST_PRICE * times.mean, HIGHEST_PRICE * times.mean, DELAY * times.mean
        price = FIRST_PRICE * times.mean if self.plan is None else self.plan.price
        for _ in range(TRIES):
            price = min(max(price, lowest), highest)
            plan = best_polls(times, price)
            of_aim = max(plan.delay / aim, 0.2)
            if abs(of_aim - 1.0) < 0.05:
                break
            price /= of_aim**2  # the delay goes about with the square root of the price
        return plan


class Watch:
    """The looks at one job. Times are seconds on any one clock.

    While the service says that the job stands in line, its age counts from when it should begin to run. follows: what
    ``next`` answered last is not the time for a look, but for asking ``next`` again.
    """

    __slots__ = (
        "_leading_age",
        "_leads",
        "_learns",
        "_looked_at",
        "_origin",
        "_place",
        "_planner",
        "_scout",
        "_since",
        "_submitted",
        "follows",
    )

    def __init__(self, planner: PollPlanner, submitted: float, *, learns: bool) -> None:
        self._planner = planner
        self._learns = learns
        self._leads = self.follows = False
        self._leading_age: float | None = None
        self._looked_at: float | None = None
        self._submitted = self._origin = self._since = submitted
        self._scout = False
        self._place: tuple[float, int] | None = None

    def next(self, now: float, draw: float) -> float:
        """When to look next, or to ask this again, after ``now``. draw: uniform in [0, 1)."""
        planner = self._planner
        if (again := self._follow(now, draw)) is not None:
            return again
        if self._looked_at is not None:
            age = planner.next_look(max(self._looked_at - self._origin, 0.0), draw)
        else:
            begins = planner.line.begins(now)
            self._scout = begins is None
            self._origin = self._since = max(self._submitted, begins or self._submitted)
            age = 0.0 if self._leads and planner.plan is None else planner.first_look(draw)
        return planner.turns.book(now, self._origin + age, now + SHORTEST)

    def _follow(self, now: float, draw: float) -> float | None:
        """When to ask again whether to look, None when a look is to be planned."""
        planner, age = self._planner, max(now - self._origin, 0.0)
        self.follows = False
        if planner.plan is not None or self._leads or age >= planner.memory.soonest:
            return None
        if self._leading_age is None:
            self._leading_age = planner.leading_age(draw) if self._learns else LONGEST
        leads_in = self._leading_age - age
        if leads_in <= 0.0 and planner.leaders < LEADERS and self._learns:
            self._leads = True
            planner.leaders += 1
            return None
        gap = min(FOLLOW + FOLLOW_SHARE * age, FOLLOW_AT_FIRST + FOLLOW_SHARE_AT_FIRST * age)
        gap *= (1.0 + SPREAD * draw) / (1.0 + SPREAD)
        again = now + (max(min(gap, leads_in), FINEST) if leads_in > 0.0 else gap)
        if again - (self._looked_at or self._submitted) > LONGEST:  # should no leader ever come back
            return None
        self.follows = True
        return again

    def missed(self, at: float, place: int | None) -> None:
        """A look found it unfinished; place: in the line, if it is known to stand there."""
        if place is None:
            self._learn(at, hit=False)
            self._since = max(at, self._since)
        else:
            self._in_line(at, place)
        self._looked_at = at

    def found(self, at: float) -> None:
        self._learn(at, hit=True)
        self._planner.leaders -= self._leads
        self._leads = False

    def _learn(self, at: float, *, hit: bool) -> None:
        if self._scout and self._looked_at is None:
            self._planner.line.over(self._submitted)
        since = self._since - self._origin
        if self._learns and (hit or at > self._since):
            self._planner.learn(Look(since, max(at - self._origin, since + FINEST), hit))

    def _in_line(self, at: float, place: int) -> None:
        line = self._planner.line
        if self._place is not None:
            line.moved(self._place[1] - place, at - self._place[0])
        self._place = at, place
        begins = line.seen(self._submitted, at, place)
        if begins is not None:
            self._origin = self._since = begins
