"""What limits a run, found while it goes, in virtual time; and progress that is honest about it."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batcher.core import limits
from batcher.core.tally import Snapshot
from batcher.runner.events import Event, Noted, Ticked
from batcher.runner.progress_words import in_words, time_left
from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Simulator
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run


def seen(
    tmp_path: Path, jobs: int, latency: float, faults: tuple[Fault, ...] = (), **settings: Any
) -> tuple[list[Snapshot], list[str], Came]:
    """The snapshots of a whole run, its notes, and what it came to. latency: seconds that a job takes."""
    path = tmp_path / "manifest.txt"
    path.write_text(lines(jobs))
    snapshots: list[Snapshot] = []
    notes: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Ticked):
            snapshots.append(event.snapshot)
        elif isinstance(event, Noted):
            notes.append(event.text)

    async def all_of_it() -> Came:
        service = Simulator(steady(latency=Latency(kind="fixed", median=latency), faults=faults))
        return await go(tmp_path / "run", path, service, hear=hear, **settings)

    came = run(all_of_it())
    return snapshots, notes, came


def in_the_middle(snapshots: list[Snapshot], measure: Callable[[Snapshot], Any]) -> set[Any]:
    third = len(snapshots) // 3
    return {measure(snapshot) for snapshot in snapshots[third : 2 * third]}


def test_a_run_that_keeps_its_rate_is_limited_by_the_rate(tmp_path: Path) -> None:
    snapshots, notes, _ = seen(tmp_path, 80, 1.0, rate=2.0, in_flight=64)
    assert in_the_middle(snapshots, lambda one: one.limited_by) == {limits.RATE}
    assert not any("--in-flight" in note for note in notes)


def test_how_long_a_limit_lasts_is_null_while_there_is_none(tmp_path: Path) -> None:
    snapshots, _, _ = seen(tmp_path, 80, 1.0, rate=2.0, in_flight=64)
    assert {bool(one.limited_by) for one in snapshots} == {True, False}
    for one in snapshots:
        assert (one.limited_for is None) == (one.limited_by == ""), one
        assert (one.limited_for or 0.0) <= one.elapsed


def test_in_flight_that_caps_the_rate_is_named_with_the_number_that_would_do(tmp_path: Path) -> None:
    snapshots, notes, _ = seen(tmp_path, 100, 10.0, rate=10.0, in_flight=12)
    assert in_the_middle(snapshots, lambda one: one.limited_by) == {limits.IN_FLIGHT}
    (hint,) = [note for note in notes if "--in-flight" in note]
    assert hint.startswith("--in-flight 12 caps the rate at 1.")
    wanted = int(hint.split("--in-flight ")[2].split("`")[0])
    assert 100 <= wanted <= 135
    words = in_words(snapshots[len(snapshots) // 2], 200)
    assert "limited by --in-flight for" in words
    assert re.search(r"\b1[012] in flight", words), words  # one or two may be between two jobs


def test_downloads_that_hold_up_a_run_whose_jobs_are_all_submitted_are_named_and_counted_on(tmp_path: Path) -> None:
    slow = Fault(where="file", kind="slow", seconds=10.0)
    snapshots, _, _ = seen(tmp_path, 60, 1.0, faults=(slow,), rate=10.0, in_flight=64, downloads=4)
    late = [one for one in snapshots if one.elapsed > 60 and one.done < 50]
    assert late
    assert {one.limited_by for one in late} == {limits.DOWNLOADS}
    for one in late:  # the pace of submits says nothing any more
        assert " to " not in time_left(one)
        assert "limited by downloads for" in in_words(one, 70)


def test_a_budget_that_holds_up_a_run_is_named_in_a_narrow_window(tmp_path: Path) -> None:
    snapshots, _, _ = seen(tmp_path, 30, 15.0, rate=10.0, in_flight=64, budget=0.5, price=0.02)
    waiting = [one for one in snapshots if one.limited_by == limits.BUDGET and (one.limited_for or 0.0) > 12]
    assert waiting
    assert all("limited by the budget for" in in_words(one, 70) for one in waiting)


def test_the_time_left_is_right_to_a_third_from_the_first_results_on_and_never_a_promise(tmp_path: Path) -> None:
    snapshots, _, came = seen(tmp_path, 150, 15.0, rate=2.0, in_flight=64)
    end = snapshots[-1].elapsed
    estimates = [one for one in snapshots if one.eta is not None and one.done < 145]
    assert estimates
    assert estimates[0].elapsed < 30.0
    for one in estimates:
        low, high = sorted((one.eta or 0.0, one.eta_model or one.eta or 0.0))
        assert 0.65 * low - 5 <= end - one.elapsed <= 1.35 * high + 18, one
    assert came.exit_code == 0


def test_with_a_limit_the_line_counts_the_jobs_within_it(tmp_path: Path) -> None:
    snapshots, _, came = seen(tmp_path, 60, 4.0, rate=5.0, limit=20)
    assert {one.total for one in snapshots} == {20}
    assert (snapshots[-1].done, came.report["total"], came.report["stopped_by"]) == (20, 60, "limit")
    more, _, _ = seen(tmp_path, 60, 4.0, rate=5.0, limit=30)
    assert {(one.total, one.done >= 20) for one in more} == {(30, True)}


def test_no_figure_is_above_the_rate_asked_for(tmp_path: Path) -> None:
    snapshots, _, came = seen(tmp_path, 60, 0.2, rate=5.0, in_flight=64)
    shown = [words for one in snapshots for words in in_words(one, 200).split(", ") if words.endswith("/s")]
    assert shown
    assert max(float(words.removesuffix("/s")) for words in shown) <= 5.0
    assert "60 submits at 5.0/s" in came.summary


def test_a_line_says_a_hundred_per_cent_only_when_all_is_done(tmp_path: Path) -> None:
    from io import StringIO  # noqa: PLC0415

    from batcher.runner.progress import Bar  # noqa: PLC0415

    snapshots, _, _ = seen(tmp_path, 30, 1.0, rate=20.0)
    stream = StringIO()
    bar = Bar(stream)
    for snapshot in snapshots:
        before = len(stream.getvalue())
        bar.show(snapshot)
        drawn = stream.getvalue()[before:]
        assert ("100%" in drawn) <= (snapshot.done == snapshot.total)
    bar.close(snapshots[-1])


def test_reads_that_are_refused_for_ten_minutes_hold_up_no_submit(tmp_path: Path) -> None:
    """Nor, at the start of the next run, those that wait for what is at the service to be asked about."""
    path = tmp_path / "manifest.txt"
    path.write_text(lines(20))
    accepted: list[int] = []

    async def look(going: Going) -> None:
        await asyncio.sleep(30.0)
        accepted.append(going.simulator.stats()["submits_accepted"])
        going.context.stop.request(Reason.INTERRUPTED)

    async def story() -> None:
        refused = Fault(where="result", kind="429_seconds", seconds=600.0)
        service = Simulator(steady(latency=Latency(kind="fixed", median=2.0), faults=(refused,)))
        await go(tmp_path / "run", path, service, rate=1.0, limit=10, meanwhile=look)
        await go(tmp_path / "run", path, service, rate=1.0, meanwhile=look)

    run(story())
    assert accepted == [10, 20]
