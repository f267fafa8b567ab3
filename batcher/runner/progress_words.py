"""A moment of a run in words: its progress, what limits it, how to lift that limit, and the time left."""

import math

from batcher.core import limits
from batcher.core.command_line import command_line
from batcher.core.tally import Snapshot
from batcher.core.units import show_about, show_rate, show_usd
from batcher.store.facts import Live

HINT_AFTER = 20.0  # seconds of a limit before a hint on how to lift it
LONG_ENOUGH = 10.0  # seconds of a limit before it is shown
COLUMNS = 80
ROOM = COLUMNS - len("12:34:56  ")

Moment = Snapshot | Live  # the second is what ``batcher status`` reads of a going run


def in_words(snapshot: Snapshot, room: int = ROOM) -> str:
    """``690/1,632 done, 3 failed, 32 in flight, 12.3/s, 76 s left, $1.20``, in ``room`` columns.

    The least important parts are left out if they don't fit.
    """
    left = time_left(snapshot) if snapshot.finished < snapshot.total else ""
    limit = limit_in_words(snapshot)
    expected = snapshot.limited_by == limits.RATE  # it runs at the requested rate
    parts = (  # (rank, the most important first; whether it applies; text)
        (0, True, f"{snapshot.done:,}/{snapshot.total:,} done"),
        (1, snapshot.failed > 0, f"{snapshot.failed:,} failed"),
        (2, snapshot.in_doubt > 0, f"{snapshot.in_doubt:,} in doubt"),
        (8, snapshot.in_flight > 0, f"{snapshot.in_flight:,} in flight"),
        (5, snapshot.rate > 0, _rate(snapshot)),
        (3, left != "", left),
        (6, bool(snapshot.cost_usd), show_usd(snapshot.cost_usd or 0.0)),
        (7 if expected else 4, limit != "", limit),
    )
    free = room + len(", ")
    kept = set()
    for rank, applies, text in sorted(parts):
        if applies and (rank == 0 or len(text) + len(", ") <= free):
            kept.add(rank)
            free -= len(text) + len(", ")
    return ", ".join(text for rank, _, text in parts if rank in kept)


def time_left(moment: Moment) -> str:
    """``5 min left``, ``5 min to 9 min left`` if measured and expected time differ, or empty."""
    model = None if moment.limited_by == limits.DOWNLOADS else moment.eta_model  # the model has no downloads
    estimates = sorted(one for one in (moment.eta, model) if one is not None)
    if not estimates or moment.limited_by in {limits.PAUSED, limits.SILENT}:
        return ""
    low, high = estimates[0], estimates[-1]
    if high > 1.5 * low and high - low > 30.0:
        return f"{show_about(low)} to {show_about(high)} left"
    return f"{show_about(high)} left"


def limit_in_words(moment: Moment) -> str:
    """What limits the run, and for how long it has: ``limited by --in-flight for 3 min``."""
    by, seconds = moment.limited_by, moment.limited_for or 0.0
    if not by or seconds < LONG_ENOUGH:
        return ""
    limited = "" if by in {limits.PAUSED, limits.SILENT} else "limited by "
    return f"{limited}{limits.WORDS[by]} for {show_about(seconds)}"


def way_out(moment: Moment, slots: int, run: object) -> str:
    """What lets the run go faster or go on; empty if there is nothing to do."""
    if moment.limited_by == limits.PAUSED:
        return f"`{command_line('tune', run, '--resume')}` resumes it"
    return in_flight_hint(moment, slots, run)


def in_flight_hint(moment: Moment, slots: int, run: object) -> str:
    """What to set if ``--in-flight`` keeps a run well below its rate; empty if it does not."""
    cap, asked = moment.in_flight_cap, moment.asked
    is_long = (moment.limited_for or 0.0) >= HINT_AFTER
    if moment.limited_by != limits.IN_FLIGHT or not is_long or not cap or not asked or cap > 0.8 * asked:
        return ""
    takes = slots / cap
    tune = command_line("tune", run, "--in-flight", math.ceil(1.1 * asked * takes))
    return (
        f"--in-flight {slots} caps the rate at {show_rate(cap)}, as jobs take about {show_about(takes)}:"
        f" `{tune}` would reach {show_rate(asked)}"
    )


def _rate(snapshot: Snapshot) -> str:
    """The rate, never above the requested one, in the same unit for the whole run."""
    rate = snapshot.rate if snapshot.asked is None else min(snapshot.rate, snapshot.asked)
    return f"{rate:.1f}/s" if (snapshot.asked or rate) >= 1 else show_rate(rate)
