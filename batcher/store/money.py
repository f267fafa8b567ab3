"""The cost of a run directory so far, by the state of its jobs."""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from batcher.store.schema import STATES

_UNCHARGED = "('rejected', 'cancelled', 'failed')"  # outcomes for which no charge is documented
IN_FLIGHT = "state IN ('submitting', 'running') AND finished_at IS NULL"
REMOVED = "removed"  # jobs that have left the manifest: their cost counts too
_NAMES = {"submitting": "at_service", "running": "at_service", "ready": "to_download"}
_SUMS = (
    "coalesce(sum({p}cost_usd), 0), coalesce(sum({p}images) FILTER (WHERE {p}cost_usd IS NULL AND {unpriced}), 0),"
    " coalesce(sum({p}images) FILTER (WHERE {p}cost_usd IS NULL AND {p}outcome = 'failed'), 0)"
)
_DONE = _SUMS.format(p="", unpriced=f"outcome NOT IN {_UNCHARGED}") + ", 0, coalesce(sum(attempts), 0), 0"
_NEWEST = (
    _SUMS.format(p="", unpriced=f"outcome NOT IN {_UNCHARGED} AND NOT ({IN_FLIGHT})")
    + f", coalesce(sum(images) FILTER (WHERE {IN_FLIGHT}), 0), coalesce(sum(attempts), 0),"
    " coalesce(sum(images) FILTER (WHERE state = 'pending' AND position IS NOT NULL), 0)"
)
_SUBMITTED = "SELECT EXISTS (SELECT 1 FROM jobs WHERE attempts > 0) OR EXISTS (SELECT 1 FROM past_attempts)"
_OF_JOBS = "FROM past_attempts p JOIN jobs j ON j.id = p.job_id"
_PAST = _SUMS.format(p="p.", unpriced=f"p.outcome NOT IN {_UNCHARGED}")


@dataclass(frozen=True, slots=True)
class Money:
    """The cost of some jobs over the life of the run directory. Numbers count images, except ``submits``.

    known_usd: dollars that the service reported as charged.
    unpriced: of submits that ended or are in doubt, without a reported cost.
    failed: of submits that the service failed, without a reported cost. It is not documented whether they are charged.
    open: of jobs at the service now.
    submits: submits that the service may have accepted.
    waiting: of jobs of the manifest that are not submitted yet.
    """

    known_usd: float = 0.0
    unpriced: int = 0
    failed: int = 0
    open: int = 0
    submits: int = 0
    waiting: int = 0

    def __add__(self, other: "Money") -> "Money":
        usd, *rest = (one + another for one, another in zip(astuple(self), astuple(other), strict=True))
        return Money(round(usd, 9), *rest)

    def cost(self, price: float | None) -> float | None:
        """Dollars, with ``price`` for each image without a reported cost. None if that price is needed and unknown."""
        estimated = self.unpriced + self.open
        if estimated and price is None:
            return None
        return round(self.known_usd + estimated * (price or 0.0), 6)


def money_in_all(connection: sqlite3.Connection) -> Money:
    """The cost of all jobs, with those that left the manifest. ``waiting`` is 0 while nothing was submitted."""
    if not connection.execute(_SUBMITTED).fetchone()[0]:  # a quarter of the time that the sums of a million jobs take
        return Money()
    return sum(money_by_state(connection).values(), Money())


def money_by_state(connection: sqlite3.Connection) -> dict[str, Money]:
    """The cost of all attempts of jobs, by where the jobs are now; places without cost or images are left out.

    The places are ``done``, ``at_service``, ``to_download``, ``pending`` (to be submitted), ``failed``, ``in_doubt``,
    ``cancelled`` and ``removed``.
    """
    sums: dict[str, Money] = {}

    def add(state: str, numbers: Iterable[float]) -> None:
        name, (usd, *counts) = _NAMES.get(state, state), numbers
        sums[name] = sums.get(name, Money()) + Money(usd, *map(int, counts))

    rest = _in_sql(state for state in STATES if state != "done")
    for statement in (
        # Done jobs may be a million: a walk over the table (+ keeps SQLite from its index). The rest goes by the index.
        f"SELECT 'done', {_DONE} FROM jobs WHERE +state = 'done' AND position IS NOT NULL",
        f"SELECT state, {_NEWEST} FROM jobs WHERE state IN {rest} AND position IS NOT NULL GROUP BY state",
        f"SELECT '{REMOVED}', {_NEWEST} FROM jobs WHERE state IN {_in_sql(STATES)} AND position IS NULL",
        f"SELECT iif(j.position IS NULL, '{REMOVED}', j.state), {_PAST} {_OF_JOBS} GROUP BY 1",
    ):
        for name, *numbers in connection.execute(statement):
            add(name, numbers)
    return {name: one for name, one in sums.items() if one != Money()}


def _in_sql(words: Iterable[str]) -> str:
    return f"({', '.join(map(repr, words))})"
