"""Whole runs with workers that die, hang, answer late, twice or for others: in virtual time, with real files."""

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.core.job import State
from batcher.images import storage
from batcher.runner.engines.messages import Greeting, Outcome, packed, unpacked
from batcher.runner.events import Event, Noted, WorkerMoved
from batcher.runner.stop import Reason
from batcher.simulator import Fault as ServiceFault
from batcher.simulator import Latency, Profile, Simulator, file_bytes
from batcher.store import STATE, StateFile
from tests.support.fake_crew import DELAY, HANG, KILL, TWICE, UNKNOWN, FakeCrew, Hiring
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run

JOBS = 12


def with_workers(
    tmp_path: Path,
    hiring: Hiring,
    *,
    jobs: int = JOBS,
    profile: Profile | None = None,
    then: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Came, dict[str, Any], list[Event]]:
    """then: settings of a second run in the same place."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text(lines(jobs))
    events: list[Event] = []

    async def all_of_it() -> tuple[Came, dict[str, Any]]:
        simulator = Simulator(profile or steady(latency=Latency(kind="fixed", median=4.0)))
        given = {"engine": "ray", "workers": 2, "rate": 10.0, "hire": hiring, "hear": events.append, **settings}
        came = await go(tmp_path / "run", manifest, simulator, **given)
        if then is not None:
            came = await go(tmp_path / "run", manifest, simulator, hear=events.append, **then)
        return came, simulator.stats()

    came, stats = run(all_of_it())
    return came, stats, events


def sidecars(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted((folder / "images").rglob("*.json"))]


def is_whole(folder: Path, came: Came, stats: dict[str, Any], jobs: int = JOBS) -> None:
    """Everything is there, once, as the service made it, and nothing else."""
    assert (came.exit_code, came.report["done"]) == (0, jobs)
    assert stats["charges_per_input"] == {"distinct": jobs, "max": 1, "histogram": {"1": jobs}}
    cards = sidecars(folder)
    assert len(cards) == jobs
    for card in cards:
        assert (folder / card["file"]).read_bytes() == file_bytes(card["inputs"])
    assert [path.name for path in folder.rglob(".*.part")] == []
    assert list(folder.glob(".batcher-probe-*")) == []


async def until_done(going: Going, jobs: int) -> None:
    while going.context.tally.at[State.DONE] < jobs:  # noqa: ASYNC110  virtual time
        await asyncio.sleep(0.5)


def notes(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Noted))


@dataclass
class AtCall:
    """The fault ``what`` at the n-th such moment, of any worker."""

    number: int
    method: str
    when: str
    what: str
    count: int = 0

    def __call__(self, _: int, method: str, when: str) -> str | None:
        self.count += (method, when) == (self.method, self.when)
        happens = self.count == self.number and (method, when) == (self.method, self.when)
        return self.what if happens else None

    @property
    def happened(self) -> bool:
        return self.count >= self.number


def test_workers_fetch_every_file_and_the_run_is_that_of_one_machine(tmp_path: Path) -> None:
    hiring = Hiring()
    came, stats, events = with_workers(tmp_path, hiring)
    is_whole(tmp_path / "run", came, stats)
    assert stats["token_leaks"] == 0
    assert [event.at_work for event in events if isinstance(event, WorkerMoved)] == [True, True]
    assert came.context is not None
    saved = came.context.engine.workers
    assert sum(int(words.split(": ")[1].split()[0]) for words in saved) == JOBS, saved


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("what", [KILL, HANG, DELAY])
@pytest.mark.parametrize(("method", "when"), [("take", "before"), ("take", "after"), ("answers", "after")])
def test_a_worker_lost_at_any_moment_costs_nothing_and_leaves_nothing(
    tmp_path: Path, method: str, when: str, what: str, number: int
) -> None:
    fault = AtCall(number, method, when, what)
    came, stats, events = with_workers(tmp_path, Hiring(fault))
    is_whole(tmp_path / "run", came, stats)
    assert fault.happened
    assert "is lost" in notes(events) or what != KILL


@pytest.mark.parametrize("what", [TWICE, UNKNOWN])
def test_answers_that_come_twice_or_for_nobody_change_nothing(tmp_path: Path, what: str) -> None:
    came, stats, _ = with_workers(tmp_path, Hiring(lambda *_: what))
    is_whole(tmp_path / "run", came, stats)


def test_workers_that_die_again_and_again_are_no_reason_to_pay_again(tmp_path: Path) -> None:
    count = 0

    def fault(_: int, method: str, when: str) -> str | None:
        nonlocal count
        count += method != "greet"
        return KILL if method != "greet" and count % 7 == 0 else None

    came, stats, _ = with_workers(tmp_path, Hiring(fault), workers=3)
    is_whole(tmp_path / "run", came, stats)


def test_without_any_worker_this_process_fetches_the_files_itself(tmp_path: Path) -> None:
    hiring = Hiring()

    async def cluster_ends(going: Going) -> None:
        await until_done(going, 5)
        assert hiring.crew is not None
        hiring.crew.gone = True
        for number in range(hiring.crew.size):
            hiring.crew.kill(number)

    came, stats, events = with_workers(tmp_path, hiring, meanwhile=cluster_ends)
    is_whole(tmp_path / "run", came, stats)
    assert "no worker is left: this process fetches the files itself" in notes(events)


@pytest.mark.parametrize("then", [{}, {"engine": "ray", "workers": 3, "hire": Hiring()}], ids=["alone", "with workers"])
def test_a_run_that_was_cut_off_goes_on_with_workers_and_without(tmp_path: Path, then: dict[str, Any]) -> None:
    async def cut(going: Going) -> None:
        await until_done(going, JOBS // 2)
        going.context.stop.request(Reason.INTERRUPTED, "interrupted")

    came, stats, _ = with_workers(tmp_path, Hiring(), meanwhile=cut, then=then)
    is_whole(tmp_path / "run", came, stats)


def test_what_a_killed_run_and_its_workers_left_is_removed_by_the_next_run_of_one_machine(tmp_path: Path) -> None:
    with_workers(tmp_path, Hiring(), jobs=5)
    folder = tmp_path / "run"
    left = [folder / "images" / f".{'a' * 16}-{'b' * 8}.part", folder / ".batcher-probe-0123"]
    for path in [*left, other := folder / "images" / ".somebody-elses.part"]:
        path.write_bytes(b"half a file")
    with closing(StateFile(folder / STATE)) as state:
        state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, workers_left=True))])
    run(go(folder, tmp_path / "kites.txt", Simulator(steady())))
    assert [path.exists() for path in [*left, other]] == [False, False, True]


def test_links_that_die_and_hosts_that_fail_are_handled_as_on_one_machine(tmp_path: Path) -> None:
    faults = [
        ServiceFault(where="file", kind="403", count=5),
        ServiceFault(where="file", kind="503", count=20),
        ServiceFault(where="file", kind="truncated", count=3),
    ]
    came, stats, _ = with_workers(tmp_path, Hiring(), profile=steady(faults=faults))
    is_whole(tmp_path / "run", came, stats)


def test_no_message_to_or_from_a_worker_holds_the_token_or_an_image(tmp_path: Path) -> None:
    hiring = Hiring()
    came, stats, _ = with_workers(tmp_path, hiring, token="a-token-to-look-for")
    is_whole(tmp_path / "run", came, stats)
    assert hiring.crew is not None
    everything = b"".join(hiring.crew.seen)
    assert b"a kite over hill number 7" in everything  # orders are readable, so the token would be
    assert b"a-token-to-look-for" not in everything
    assert b"IDAT" not in everything
    assert len(everything) < 2_000 * JOBS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda greeting: replace(greeting, python="3.9.1"), "has Python 3.9, this process has 3."),
        (lambda greeting: replace(greeting, batcher="0.0.1"), "has batcher 0.0.1, this process has "),
        (lambda greeting: replace(greeting, host="another"), "to this machine only, and there is a worker on another"),
        (lambda greeting: replace(greeting, identity="f" * 8), "what it writes does not arrive here"),
        (lambda greeting: replace(greeting, problem="there is no folder /x"), "does not see "),
    ],
    ids=["python", "batcher", "simulator out of reach", "writes elsewhere", "no such folder"],
)
def test_a_worker_that_does_not_fit_ends_the_run_before_anything_is_submitted(
    tmp_path: Path, change: Callable[[Greeting], Greeting], words: str
) -> None:
    error, charged = run(_refusal(tmp_path, change))
    assert isinstance(error, UsageError)
    assert words in str(error)
    assert charged == 0


def test_a_worker_without_room_is_a_full_disk(tmp_path: Path) -> None:
    def without_room(greeting: Greeting) -> Greeting:
        return replace(greeting, problem="No space left on device", no_room=True)

    error, charged = run(_refusal(tmp_path, without_room))
    assert isinstance(error, DiskError)
    assert "No space left" in error.message
    assert charged == 0


async def _refusal(tmp_path: Path, change: Callable[[Greeting], Greeting]) -> tuple[BatcherError | None, int]:
    """Why a run with such workers did not begin, and how many jobs were charged."""

    class Unfit(FakeCrew):
        async def call(self, worker: int, method: str, payload: bytes) -> bytes:
            answer = await super().call(worker, method, payload)
            return packed(change(unpacked(answer))) if method == "greet" else answer

    manifest = tmp_path / "kites.txt"
    manifest.write_text(lines(3))
    simulator, error = Simulator(steady()), None
    try:
        await go(tmp_path / "run", manifest, simulator, engine="ray", hire=Hiring(crew=Unfit))
    except BatcherError as refused:
        error = refused
    return error, simulator.stats()["charges_per_input"]["distinct"]


def test_workers_put_the_images_into_a_bucket_themselves(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="the extra `cloud` is not installed")
    (tmp_path / "run").mkdir()
    storage.claim(tmp_path / "run", f"file://{tmp_path}/bucket")
    came, _, _ = with_workers(tmp_path, Hiring(AtCall(3, "answers", "after", KILL)))
    assert (came.exit_code, came.report["done"]) == (0, JOBS)
    assert not list((tmp_path / "run").rglob("*.png"))
    cards = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "bucket").rglob("*.json")]
    made = [card for card in cards if "inputs" in card]
    assert len(made) == JOBS
    for card in made:
        path = tmp_path / "bucket" / card["file"].removeprefix("images/")
        assert path.read_bytes() == file_bytes(card["inputs"])
    assert not list((tmp_path / "bucket").rglob(".batcher-probe-*"))


def test_a_worker_whose_disk_fills_stops_the_run_resumable(tmp_path: Path) -> None:
    def full(outcomes: Any) -> Any:
        error = DiskError("cannot write images/x.png: No space left on device", hint="Make room on that disk.")
        return outcomes and [Outcome(one.job, one.giving, error) for one in outcomes]

    class Full(FakeCrew):
        async def call(self, worker: int, method: str, payload: bytes) -> bytes:
            answer = await super().call(worker, method, payload)
            return packed(full(unpacked(answer))) if method == "answers" else answer

    hiring = Hiring(crew=Full)
    came, stats, _ = with_workers(tmp_path, hiring, then={})
    is_whole(tmp_path / "run", came, stats)
    assert "workers" not in came.report


def test_clocks_that_differ_are_named_and_times_are_the_coordinators(tmp_path: Path) -> None:
    _, _, events = with_workers(tmp_path, Hiring(), jobs=3)  # its wall clock is months away from the workers'
    assert "ahead of the one here" in notes(events)
    assert {card["downloaded_at"][:10] for card in sidecars(tmp_path / "run")} == {"2026-09-21"}
