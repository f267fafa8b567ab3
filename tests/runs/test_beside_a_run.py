"""What other processes do to a run while it goes: retry, cancel, tune; and what a restart remembers of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.core.job import State
from batcher.manifest import Overrides
from batcher.runner.cancelling import cancel_run, close_pending
from batcher.runner.control import read_control, write_control
from batcher.runner.events import Event, JobMoved, RunBegan, RunEnded, RunNamed
from batcher.runner.reopening import Reopen, reopen
from batcher.runner.service import Options
from batcher.runner.stop import Reason
from batcher.runner.tuning import tune
from batcher.simulator import Fault, Latency, Simulator
from batcher.store import STATE, StateFile
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run

LONG = Latency(kind="fixed", median=6.0)


def finished(tmp_path: Path, jobs: int, **settings: Any) -> tuple[Came, dict[str, Any]]:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(jobs))

    async def all_of_it() -> tuple[Came, dict[str, Any]]:
        service = Simulator(settings.pop("profile", steady()))
        came = await go(tmp_path / "run", path, service, **settings)
        return came, service.stats()

    return run(all_of_it())


def after(seconds: float, act: Callable[[Going], object]) -> Callable[[Going], Any]:
    async def meddle(going: Going) -> None:
        await asyncio.sleep(seconds)
        act(going)

    return meddle


def test_what_is_reopened_beside_a_run_is_made_by_that_run(tmp_path: Path) -> None:
    starts: list[float] = []

    def mend(going: Going) -> None:
        assert reopen(tmp_path / "run", Reopen())["reopened"] == 3
        starts.append(asyncio.get_running_loop().time())

    def hear(event: Event) -> None:
        if isinstance(event, JobMoved) and event.entry.attempts == 2 and event.entry.state is State.RUNNING:
            starts.append(asyncio.get_running_loop().time())

    path = tmp_path / "manifest.txt"
    bad = [{"where": "result", "kind": "content_policy"}]

    async def story() -> Came:
        path.write_text(lines(3))
        service = Simulator(steady(latency=Latency(kind="fixed", median=1.0)))
        service.change({"faults": bad})
        await go(tmp_path / "run", path, service)
        path.write_text(lines(6))
        service.change({"faults": [], "latency": 20.0})
        return await go(tmp_path / "run", path, service, meanwhile=after(5.0, mend), hear=hear)

    came = run(story())
    assert came.exit_code == 0
    assert came.report["done"] == 6
    assert [moment - starts[0] <= 1.3 for moment in starts[1:]] == [True] * 3, "noticed within a second"


def test_a_run_that_waits_for_its_last_job_takes_up_what_is_reopened(tmp_path: Path) -> None:
    rejected = Fault(where="submit", kind="422", probability=0.5)

    def mend(going: Going) -> None:
        going.simulator.change({"faults": []})
        reopen(tmp_path / "run", Reopen())

    came, stats = finished(
        tmp_path, 20, profile=steady(latency=LONG, faults=(rejected,)), meanwhile=after(5.0, mend), fuse=None
    )
    assert came.exit_code == 0
    assert stats["charges_per_input"]["max"] == 1


def test_what_is_cancelled_beside_a_run_is_not_submitted_and_no_defect(tmp_path: Path) -> None:
    def cancel(going: Going) -> None:
        state = StateFile(tmp_path / "run" / STATE)
        assert close_pending(state) > 50
        state.close()

    came, stats = finished(tmp_path, 100, profile=steady(latency=LONG), rate=10.0, meanwhile=after(3.0, cancel))
    assert came.stop.reason is None
    assert came.report["cancelled"] + came.report["done"] == 100
    assert stats["submits_accepted"] == came.report["done"] < 50


def test_what_is_cancelled_at_the_service_beside_a_run_is_noticed_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of ten minutes: the next poll of each is half a minute away."""
    monkeypatch.setenv("RUNCOMFY_TOKEN", "a-token")
    seconds: list[float] = []
    ended_at: list[float] = []

    async def cancel(going: Going) -> None:
        await asyncio.sleep(200.0)
        options = Options(
            manifest="", overrides=Overrides(), base_url=going.context.api.base_url, trust_hosts=("127.0.0.1",)
        )
        assert (await cancel_run(tmp_path / "run", options, pending=False))["cancelled"] == 36
        ended_at.append(asyncio.get_running_loop().time())

    def hear(event: Event) -> None:
        if isinstance(event, JobMoved) and event.entry.state is State.CANCELLED:
            seconds.append(asyncio.get_running_loop().time() - ended_at[0])

    came, _ = finished(
        tmp_path,
        40,
        profile=steady(latency=Latency(kind="fixed", median=600.0), slots=4),
        meanwhile=cancel,
        hear=hear,
    )
    assert (came.report["cancelled"], came.report["done"]) == (36, 4)
    assert max(seconds) <= 1.5


def test_a_rate_is_tuned_while_the_run_goes_and_stays_after_a_restart(tmp_path: Path) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(120))
    moments: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, JobMoved) and event.entry.state is State.RUNNING:
            moments.append(asyncio.get_running_loop().time())

    def slower(going: Going) -> None:
        assert tune(folder, rate="2/s", reason="others")["going"]
        moments.append(asyncio.get_running_loop().time())

    def interrupt(going: Going) -> None:
        going.context.stop.request(Reason.INTERRUPTED)

    async def both(going: Going) -> None:
        await after(2.0, slower)(going)
        await after(10.0, interrupt)(going)

    async def story() -> tuple[Came, int, Came]:
        service = Simulator(steady(latency=Latency(kind="fixed", median=1.0)))
        first = await go(folder, path, service, rate=20.0, meanwhile=both, hear=hear)
        so_far = len(moments)
        return first, so_far, await go(folder, path, service, rate=20.0, hear=hear)

    first, so_far, second = run(story())
    assert 38 + 18 <= so_far <= 42 + 20 + 26, "2 s at 20/s, at most 1 s until it is obeyed, 10 s at 2/s"
    assert first.exit_code == 130
    assert second.report["submit_rate"] < 2.1
    with StateFileReader(folder) as state:
        history = state.facts.control_history
    assert [(entry.rate, entry.reason) for entry in history] == [(2.0, "others")] * 2
    assert all(entry.obeyed_at for entry in history)


class StateFileReader:
    def __init__(self, folder: Path) -> None:
        self._state = StateFile(folder / STATE)

    def __enter__(self) -> StateFile:
        return self._state

    def __exit__(self, *_: object) -> None:
        self._state.close()


def test_a_paused_run_submits_nothing_collects_what_is_there_and_goes_on_when_told(tmp_path: Path) -> None:
    submits: list[float] = []
    now: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, JobMoved) and event.entry.state is State.RUNNING:
            submits.append(asyncio.get_running_loop().time())

    async def pausing(going: Going) -> None:
        await asyncio.sleep(3.0)
        tune(tmp_path / "run", pause=True, reason="lunch")
        now.append(asyncio.get_running_loop().time())
        await asyncio.sleep(60.0)
        assert "paused (lunch)" in going.context.tally.snapshot(0.0, None).note
        assert going.context.tally.in_flight == 0
        tune(tmp_path / "run", resume=True)

    came, _ = finished(tmp_path, 60, rate=5.0, meanwhile=pausing, hear=hear)
    assert came.exit_code == 0
    assert not [at for at in submits if now[0] + 1.0 < at < now[0] + 59.0]


def test_a_paused_run_that_is_started_again_says_so_and_ends_with_4(tmp_path: Path) -> None:
    folder, path = tmp_path / "run", tmp_path / "manifest.txt"
    path.write_text(lines(10))

    async def story() -> tuple[Came, Came]:
        service = Simulator(steady())
        await go(folder, path, service, deadline=0.0)
        tune(folder, pause=True, reason="night")
        paused = await go(folder, path, service)
        tune(folder, resume=True)
        return paused, await go(folder, path, service)

    paused, again = run(story())
    assert (paused.exit_code, paused.report["stopped_by"], paused.report["submits"]) == (4, "paused", 0)
    assert "night" in paused.summary
    assert f"batcher tune {folder} --resume" in paused.summary
    assert again.exit_code == 0


def test_a_budget_below_what_is_spent_stops_new_submits(tmp_path: Path) -> None:
    came, stats = finished(
        tmp_path, 100, rate=5.0, meanwhile=after(4.0, lambda _: tune(tmp_path / "run", budget="0.10"))
    )
    assert came.exit_code == 4
    assert came.report["stopped_by"] == "budget"
    assert stats["submits_accepted"] <= 27


def test_a_drained_run_ends_with_what_is_at_the_service_and_the_next_is_not_drained(tmp_path: Path) -> None:
    folder, path = tmp_path / "run", tmp_path / "manifest.txt"
    path.write_text(lines(40))

    async def story() -> tuple[Came, Came]:
        service = Simulator(steady(latency=LONG))
        drained = await go(folder, path, service, rate=5.0, meanwhile=after(3.0, lambda _: tune(folder, drain=True)))
        return drained, await go(folder, path, service, rate=5.0)

    drained, again = run(story())
    assert (drained.exit_code, drained.report["stopped_by"]) == (4, "drained")
    assert 0 < drained.report["done"] < 30
    assert again.exit_code == 0


def test_a_control_file_that_is_none_of_ours_changes_nothing_and_is_said(tmp_path: Path) -> None:
    notes: list[str] = []

    def scribble(going: Going) -> None:
        (tmp_path / "run" / "control.json").write_text('{"rate": "fast"}')

    def hear(event: Event) -> None:
        notes.append(getattr(event, "text", ""))

    came, _ = finished(tmp_path, 40, rate=10.0, meanwhile=after(1.0, scribble), hear=hear)
    assert came.exit_code == 0
    assert any("control.json can't be used" in text and "going on as before" in text for text in notes)


def test_an_observer_hears_the_beginning_every_move_and_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    finished(tmp_path, 5, hear=events.append)
    moves = [(event.before, event.entry.state) for event in events if isinstance(event, JobMoved)]
    assert [type(event) for event in events[:2]] == [RunNamed, RunBegan]
    assert isinstance(events[-1], RunEnded)
    assert events[-1].report["done"] == 5
    expected = [(State.PENDING, State.RUNNING), (State.RUNNING, State.READY), (State.READY, State.DONE)]
    assert sorted(moves) == sorted(expected * 5)
    files = [event.artifacts for event in events if isinstance(event, JobMoved) and event.entry.state is State.DONE]
    assert all(len(artifacts) == 1 and (tmp_path / "run" / artifacts[0].file).is_file() for artifacts in files)


def test_settings_are_given_back_to_the_command(tmp_path: Path) -> None:
    finished(tmp_path, 2)
    folder = tmp_path / "run"
    tune(folder, rate="1/s", budget="5")
    assert tune(folder, rate="none")["asked"] == "budget $5.00"
    control = read_control(folder)
    assert (control.rate, control.budget) == (None, 5.0)
    write_control(folder, control)


def test_an_interrupted_run_ends_within_ten_seconds_whatever_the_service_does(tmp_path: Path) -> None:
    asked: list[float] = []

    def interrupt(going: Going) -> None:
        asked.append(asyncio.get_running_loop().time())
        going.context.stop.request(Reason.INTERRUPTED)

    async def story() -> float:
        path = tmp_path / "manifest.txt"
        path.write_text(lines(60))
        slow = Fault(where="submit", kind="slow", seconds=500.0)
        service = Simulator(steady(faults=(slow,)))
        await go(tmp_path / "run", path, service, rate=5.0, meanwhile=after(5.0, interrupt))
        return asyncio.get_running_loop().time() - asked[0]

    assert run(story()) < 10.0
