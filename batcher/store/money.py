"""What a run directory has cost, by where its jobs stand, from the state file."""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from batcher.store.schema import STATES

_UNCHARGED = "('rejected', 'cancelled', 'failed')"  # outcomes that the service documents no charge for
IN_FLIGHT = "state IN ('submitting', 'running') AND finished_at IS NULL"
REMOVED = "removed"  # jobs that are no longer in the manifest: their money was spent all the same
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
_OF_JOBS = "FROM past_attempts p JOIN jobs j ON j.id = p.job_id"
_PAST = _SUMS.format(p="p.", unpriced=f"p.outcome NOT IN {_UNCHARGED}")


@dataclass(frozen=True, slots=True)
class Money:
    """Of some jobs, over the life of the run directory.

    known_usd: what the service said it charged. unpriced: images of ended or doubtful submits whose cost it did not
    say. failed: images of submits that it failed without a word on their cost (nobody documents whether those are
    charged). open: images of jobs at the service now. submits: all that may have been taken up. waiting: images of jobs
    of the manifest that are to be submitted.
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
        """Dollars, at ``price`` for an image where the service named no cost; None when unknown."""
        unsaid = self.unpriced + self.open
        if unsaid and price is None:
            return None
        return round(self.known_usd + unsaid * (price or 0.0), 6)


def money_in_all(connection: sqlite3.Connection) -> Money:
    """Of all jobs, those included that left the manifest."""
    return sum(money_by_state(connection).values(), Money())


def money_by_state(connection: sqlite3.Connection) -> dict[str, Money]:
    """By where a job stands now, its earlier attempts included: ``done``, ``at_service``, ``to_download``, ``pending``
    (to be submitted), ``failed``, ``in_doubt``, ``cancelled``, ``removed``. Without those that have none.
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
