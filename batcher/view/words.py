"""The texts of the page about a run's numbers. Its HTML names them; its JavaScript only inserts them."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.units import show_bytes, show_count, show_duration, show_rate, show_usd
from batcher.runner.report_words import STATES

Facts = Mapping[str, Any]
_LOST = (
    "Submitted, but the answer was lost: it may have been paid for. Look at your generations at the service before you"
    " submit again."
)


def overview(facts: Facts) -> dict[str, Any]:
    """The texts of the overview, by name. facts: those of ``RunReader.numbers``. An empty text is not shown."""
    control, runs = facts["control"] or {}, facts.get("runs", [facts])
    going, paused, budget = facts["going"], bool(control.get("paused")), control.get("budget")
    state = _state(facts)
    waiting = max(0, facts["pending"] - facts["at_service"] - facts["to_download"])
    parts = [[name, facts[name], word] for name, (word, _) in STATES.items()] + [["waiting", waiting, "to submit"]]
    left = facts["eta_seconds"] if going else None
    standing = (
        state, "simulated" if facts["simulated"] else "", show_rate(facts["rate"]) if facts["rate"] else "",
        "" if left is None else f"{show_duration(left)} left", facts["note"],
        f"{len(runs)} runs as one" if len(runs) > 1 else "",
    )  # fmt: skip
    tune = command_line("tune", facts["run"], "--resume" if paused else "--pause")
    return {
        "state": state,
        "share": 100 * facts["done"] // facts["total"] if facts["total"] else 0,
        "title": f"{facts['done']:,} of {show_count(facts['total'], 'job')} done",
        "standing": " · ".join(filter(None, standing)),
        "parts": [part for part in parts if part[1]],
        "runs": "" if len(runs) == 1 else "\n".join([*map(_member, runs), *facts["notes"], _alone(runs)]),
        "way_on": facts["way_on"],
        "resume": facts["resume"],
        **_money(facts, budget),
        "simulated": facts["simulated"],
        "files": f"{show_count(facts['images'], 'image')}, {show_bytes(facts['bytes'])}",
        "troubles": [_trouble(runs, group) for group in _groups(facts)],
        "pause": "Resume" if paused else "Pause",
        "tune": tune if len(runs) == 1 else "",
        "history": facts["control_history"],
        "rate": control.get("rate"),
        "in_flight": control.get("in_flight"),
        "budget": budget,
    }


def _money(facts: Facts, budget: float | None) -> dict[str, Any]:
    """Amounts of money as texts, and ``purse``: the parts of a bar, in dollars."""
    spent, reserved = facts["spent_usd"] or 0, facts["reserved_usd"] or 0
    return {
        "spent": _usd(facts["spent_usd"]),
        "reserved": _usd(reserved) if reserved else "",
        "projected": _usd(facts["projected_usd"]) if facts["pending"] else "",
        "unclear": _usd(facts["unclear_usd"]) if facts["unclear_usd"] else "",
        "ceiling": "" if budget is None else _usd(budget),
        "purse": [["done", spent], ["at_service", reserved], ["waiting", max(0, (budget or 0) - spent - reserved)]],
        "price": _usd(facts["price_usd"]) if facts["price_usd"] else "",
    }


def _alone(runs: Sequence[Facts]) -> str:
    return f"Pace, budget and more seeds belong to one run: {command_line('view', runs[0]['run'])} opens it by itself."


def _state(facts: Facts) -> str:
    if facts["going"]:
        return "paused" if (facts["control"] or {}).get("paused") else "running"
    return "not running" if facts["pending"] else "finished"


def _member(run: Facts) -> str:
    """A line about one of several runs."""
    failed = f", {run['failed']:,} failed" if run["failed"] else ""
    return f"{run['run']}: {run['done']:,} of {show_count(run['total'], 'job')} done{failed}, {_state(run)}"


def _groups(facts: Facts) -> list[Facts]:
    cancelled = {"state": "cancelled", "cause": "", "message": "", "count": facts["cancelled"]}
    return [*facts["failures"], *([cancelled] if facts["cancelled"] else [])]


def _trouble(runs: Sequence[Facts], group: Facts) -> dict[str, Any]:
    """The texts about a group of failures. runs: all that the page shows; the command is for those that have it."""
    state, cause = group["state"], group["cause"]
    mine = [run for run in runs if any((one["state"], one["cause"]) == (state, cause) for one in _groups(run))]
    which = [*(() if state == "failed" else ("--state", state)), *(("--cause", cause) if cause else ())]
    return {
        "state": state, "count": group["count"], "message": group["message"],
        "title": ": ".join(filter(None, (state, cause))).replace("_", " "),
        "advice": _LOST if state == "in_doubt" else "",
        "command": " && ".join(command_line("retry", run["run"], *which) for run in mine),
        "which": {"states": [state], "causes": [cause] if cause else []},
    }  # fmt: skip


def speed(ended: Mapping[int, int], took: Mapping[float, int]) -> dict[str, Any]:
    """Two plots: images over time, and how long jobs take.

    ended: number of images by the Unix second of their end. took: number of images by the seconds of their job. The key
    0 is for images without that fact, and is ignored.
    """
    times, lengths = sorted(filter(None, ended)), sorted(one for one in took if one > 0)
    if len(times) < 2 or not lengths:
        return {}
    first, last = times[0], times[-1] + 1
    over_time = histogram(ended, first, last, min(60, max(2, last - first)))
    so_far = list(accumulate(took[one] for one in lengths))
    median, late, longest = (lengths[bisect_left(so_far, share * so_far[-1])] for share in (0.5, 0.9, 0.99))
    spread = histogram(took, lengths[0], max(longest, lengths[0] + 0.1), 40)
    return {
        "plots": {"over_time": bars(over_time), "spread": bars(spread)},
        "fastest": f"up to {show_rate(max(over_time) * len(over_time) / (last - first))}",
        "began_at": first,
        "ended_at": last - 1,
        "shortest": show_duration(lengths[0]),
        "median": f"median {show_duration(median)}, 9 of 10 below {show_duration(late)}",
        "longest": show_duration(longest),
    }


def histogram(counts: Mapping[float, int] | Mapping[int, int], low: float, high: float, count: int) -> list[int]:
    """The number of values in each of ``count`` equal parts of the range from low to high.

    counts: how often each value occurs. Smaller values are left out; larger ones count in the last part.
    """
    sums = [0] * count
    for value, many in counts.items():
        if value >= low:
            sums[min(count - 1, int((value - low) / (high - low) * count))] += many
    return sums


def bars(counts: Sequence[int]) -> str:
    """A histogram as the path of an SVG that is 300 wide and 72 high."""
    step, most = 300 / len(counts), max(*counts, 1)
    return "".join(
        f"M{at * step + 0.5:.1f} 72v{-68 * count / most:.1f}h{max(0.5, step - 1):.1f}V72z"
        for at, count in enumerate(counts)
        if count
    )


def notice(unreadable: int, strangers: int) -> dict[str, str] | None:
    """The notice of a page that is opened, with a hint; None for none.

    unreadable: number of lines of picks.jsonl that can't be read. strangers: number of verdicts on images that are no
    longer in the run.
    """
    sentences = []
    if unreadable:
        lines = show_count(unreadable, "line", "lines")
        sentences.append(f"{lines} of picks.jsonl can't be read and {'is' if unreadable == 1 else 'are'} skipped.")
    if strangers:
        verdicts = show_count(strangers, "verdict is", "verdicts are")
        sentences.append(f"{verdicts} about images that are no longer in this run.")
    return {"message": " ".join(sentences), "hint": "Nothing was removed from the file."} if sentences else None


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else show_usd(amount)
