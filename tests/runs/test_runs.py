"""Whole runs against the simulator in virtual time: what is on disk, what was paid, what the rate was."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from PIL import Image

from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Profile, Simulator, file_bytes
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run

RATIOS = ("16:9", "1:1")


def one_run(tmp_path: Path, manifest: str, profile: Profile, **settings: Any) -> tuple[Came, dict[str, Any], Path]:
    path = tmp_path / ("manifest.yaml" if manifest.startswith("prompts:") else "manifest.txt")
    path.write_text(manifest, "utf-8")

    async def all_of_it() -> tuple[Came, dict[str, Any]]:
        simulator = Simulator(profile)
        came = await go(tmp_path / "run", path, simulator, **settings)
        return came, simulator.stats()

    came, stats = run(all_of_it())
    return came, stats, tmp_path / "run"


def sidecars(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted((folder / "images").rglob("*.json"))]


def test_every_job_becomes_an_image_with_its_sidecar_and_is_paid_once(tmp_path: Path) -> None:
    manifest = "prompts: [a heron, a kite]\nmatrix: {aspect_ratio: [16:9, 1:1], seed: 1..3}\n"
    came, stats, folder = one_run(tmp_path, manifest, steady())
    assert came.exit_code == 0
    assert stats["charges_per_input"] == {"distinct": 12, "max": 1, "histogram": {"1": 12}}
    assert stats["token_leaks"] == 0
    cards = sidecars(folder)
    asked = {(card["inputs"]["prompt"], card["inputs"]["aspect_ratio"], card["inputs"]["seed"]) for card in cards}
    assert asked == {
        (prompt, ratio, seed) for prompt in ("a heron", "a kite") for ratio in RATIOS for seed in (1, 2, 3)
    }
    for card in cards:
        with Image.open(folder / card["file"]) as picture:
            picture.load()
            assert picture.size == (card["width"], card["height"])
        assert card["cost_usd"] == 0.02
        assert card["simulated"] is True


def test_the_bytes_on_disk_are_those_the_service_made_for_these_inputs(tmp_path: Path) -> None:
    profile = steady()
    _, _, folder = one_run(tmp_path, "prompts: [a heron]\nmatrix: {seed: 1..5}\n", profile)
    for card in sidecars(folder):
        assert (folder / card["file"]).read_bytes() == file_bytes(card["inputs"], size=profile.image_bytes)


def test_records_jsonl_is_the_sidecars_and_failures_jsonl_is_empty(tmp_path: Path) -> None:
    _, _, folder = one_run(tmp_path, lines(20), steady())
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]
    by_job = {card["job"]: card for card in sidecars(folder)}
    assert len(records) == 20
    for record in records:
        assert record == {**by_job[record["job"]], "downloaded_at": record["downloaded_at"]}
    assert (folder / "failures.jsonl").read_text() == ""


def test_the_same_command_again_submits_nothing_and_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(30))

    async def twice() -> tuple[Came, dict[str, Any]]:
        simulator = Simulator(steady())
        await go(tmp_path / "run", path, simulator)
        before = simulator.stats()["calls"]
        came = await go(tmp_path / "run", path, simulator)
        assert simulator.stats()["calls"] == {**before, "catalog": before["catalog"] + 1}
        return came, simulator.stats()

    came, stats = run(twice())
    assert came.exit_code == 0
    assert came.report["submits"] == 0
    assert stats["submits_accepted"] == 30


def test_a_grown_and_reordered_manifest_submits_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"

    async def grow() -> dict[str, Any]:
        simulator = Simulator(steady())
        path.write_text(lines(20))
        await go(tmp_path / "run", path, simulator)
        path.write_text("something new\n" + "".join(reversed(lines(20).splitlines(keepends=True))) + "and this\n")
        came = await go(tmp_path / "run", path, simulator)
        assert came.report["submits"] == 2
        assert came.exit_code == 0
        return simulator.stats()

    assert run(grow())["charges_per_input"]["max"] == 1


def test_the_rate_is_kept_to_the_submit(tmp_path: Path) -> None:
    starts: list[float] = []

    async def watch(going: Going) -> None:
        submit = going.context.api.submit

        async def timed(*args: Any) -> Any:
            starts.append(asyncio.get_running_loop().time())
            return await submit(*args)

        going.context.api.submit = timed  # type: ignore[method-assign, assignment]  # the test listens in

    _, _, _ = one_run(
        tmp_path, lines(100), steady(latency=Latency(kind="fixed", median=0.5)), rate=10.0, meanwhile=watch
    )
    assert len(starts) == 100
    assert 99 / (starts[-1] - starts[0]) >= 9.9
    for index, start in enumerate(starts):
        assert sum(1 for other in starts[index:] if other < start + 1.0) <= 11


def test_no_more_jobs_are_at_the_service_than_in_flight_allows(tmp_path: Path) -> None:
    _, stats, _ = one_run(tmp_path, lines(60), steady(), in_flight=7, rate=100.0)
    assert stats["peak_running"] <= 7


def test_slow_files_do_not_hold_up_submits(tmp_path: Path) -> None:
    slow = Fault(where="file", kind="slow", seconds=10.0)
    profile = steady(latency=Latency(kind="fixed", median=1.0), faults=(slow,))
    came, _, _ = one_run(tmp_path, lines(60), profile, in_flight=20, downloads=2, rate=10.0)
    assert came.exit_code == 0
    assert came.report["submit_rate"] > 9.0


def test_several_files_of_one_job_are_numbered_and_each_has_a_sidecar(tmp_path: Path) -> None:
    profile = steady(output_shape="both")
    _, _, folder = one_run(tmp_path, lines(3), profile)
    assert len(sidecars(folder)) == 3, "the same link twice is one file"


def test_a_job_that_fails_at_the_service_is_paid_again_at_most_as_often_as_allowed(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="result", kind="failed"),), charge_failed=True)
    came, stats, folder = one_run(tmp_path, lines(5), profile, attempts=3)
    assert came.exit_code == 3
    assert stats["charges_per_input"]["max"] == 3
    failures = [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
    assert [failure["attempts"] for failure in failures] == [3] * 5


def test_a_content_policy_failure_is_never_paid_again(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="result", kind="content_policy"),), charge_failed=True)
    came, stats, folder = one_run(tmp_path, lines(5), profile, attempts=3)
    assert came.exit_code == 3
    assert stats["charges_per_input"]["max"] == 1
    causes = {json.loads(line)["cause"]["kind"] for line in (folder / "failures.jsonl").read_text().splitlines()}
    assert causes == {"content_policy"}


def test_a_lost_answer_is_in_doubt_and_never_repeated(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="submit", kind="drop_after", probability=0.3),))
    came, stats, folder = one_run(tmp_path, lines(50), profile)
    assert came.exit_code == 5
    assert 0 < came.report["in_doubt"] < 50
    assert came.report["done"] + came.report["in_doubt"] == 50
    assert stats["charges_per_input"]["max"] == 1
    assert len((folder / "failures.jsonl").read_text().splitlines()) == came.report["in_doubt"]


def test_an_outage_costs_only_what_was_in_the_air_and_a_handful(tmp_path: Path) -> None:
    async def outage(going: Going) -> None:
        await asyncio.sleep(5.0)
        bad = [{"where": place, "kind": "502_html"} for place in ("submit", "result", "status", "catalog")]
        going.simulator.change({"faults": bad})
        await asyncio.sleep(300.0)
        going.simulator.change({"faults": []})

    came, stats, _ = one_run(tmp_path, lines(100), steady(), rate=5.0, meanwhile=outage)
    assert came.report["done"] + came.report["in_doubt"] == 100
    assert came.report["in_doubt"] <= 10, "five minutes at 5/s would have been all of them"
    assert stats["charges_per_input"]["max"] == 1
    assert came.seconds < 300 + 100


def test_a_refused_token_stops_the_run_and_keeps_what_is_there(tmp_path: Path) -> None:
    async def revoke(going: Going) -> None:
        await asyncio.sleep(3.0)
        going.simulator.change({"tokens": ["another"]})

    came, stats, folder = one_run(tmp_path, lines(100), steady(), rate=10.0, meanwhile=revoke)
    assert came.exit_code == 77
    assert came.stop.reason is Reason.ACCOUNT
    assert stats["submits_accepted"] <= 33  # ten a second, and one more in each to make up for lateness
    with sqlite3.connect(folder / "state.db") as connection:
        states = dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state"))
    connection.close()
    assert states.get("in_doubt", 0) == 0
    assert states["running"] == stats["submits_accepted"] - states.get("done", 0)


def test_a_balance_that_ends_stops_the_run(tmp_path: Path) -> None:
    came, stats, _ = one_run(tmp_path, lines(100), steady(balance=0.2), rate=10.0)
    assert came.exit_code == 77
    assert stats["charged"] == 10


def test_a_refusal_for_the_rate_slows_the_pace_and_costs_nothing(tmp_path: Path) -> None:
    profile = steady(rate_limit=5.0, retry_after="seconds")
    came, stats, _ = one_run(tmp_path, lines(100), profile, rate=50.0, in_flight=100)
    assert came.exit_code == 0
    assert stats["charges_per_input"]["max"] == 1
    assert came.report["rate_limited"] == stats["refused"] > 0
    assert came.report["submits"] == 100


def test_a_budget_is_never_overshot_however_many_are_in_flight(tmp_path: Path) -> None:
    came, stats, _ = one_run(tmp_path, lines(100), steady(), rate=50.0, budget=0.5)
    assert came.exit_code == 4
    assert came.stop.reason is Reason.BUDGET
    assert stats["charged"] == 25
    assert came.report["done"] == 25


def test_a_deadline_starts_nothing_new_and_collects_what_is_there(tmp_path: Path) -> None:
    came, stats, _ = one_run(tmp_path, lines(100), steady(), rate=2.0, deadline=10.0)
    assert came.exit_code == 4
    assert stats["submits_accepted"] == came.report["done"]
    assert 18 <= stats["submits_accepted"] <= 22


def test_an_interrupt_leaves_ids_behind_and_the_next_run_collects_them_first(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(40))

    async def interrupted() -> dict[str, Any]:
        async def stop(going: Going) -> None:
            await asyncio.sleep(2.0)
            going.context.stop.request(Reason.INTERRUPTED)

        simulator = Simulator(steady(latency=Latency(kind="fixed", median=5.0)))
        first = await go(tmp_path / "run", path, simulator, rate=10.0, meanwhile=stop)
        assert first.exit_code == 130
        assert first.report["in_doubt"] == 0
        left = simulator.stats()["submits_accepted"]
        assert 16 <= left <= 22
        order: list[str] = []

        async def watch(going: Going) -> None:
            look, submit = going.context.api.poll, going.context.api.submit

            async def looked(*args: Any) -> Any:
                order.append("look")
                return await look(*args)

            async def submitted(*args: Any) -> Any:
                order.append("submit")
                return await submit(*args)

            going.context.api.poll, going.context.api.submit = looked, submitted  # type: ignore[method-assign, assignment]  # the test listens in

        second = await go(tmp_path / "run", path, simulator, rate=10.0, meanwhile=watch)
        assert second.exit_code == 0
        assert order.index("submit") >= left, (
            "each job of the earlier process is asked about before anything is submitted"
        )
        return simulator.stats()

    stats = run(interrupted())
    assert stats["charges_per_input"] == {"distinct": 40, "max": 1, "histogram": {"1": 40}}


def test_a_collected_job_that_fails_over_there_is_told_once_though_the_manifest_lists_it_as_pending(
    tmp_path: Path,
) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(40))

    async def resumed() -> Came:
        async def stop(going: Going) -> None:
            await asyncio.sleep(2.0)
            going.context.stop.request(Reason.INTERRUPTED)

        failing = Fault(where="result", kind="failed")
        simulator = Simulator(steady(latency=Latency(kind="fixed", median=5.0), faults=(failing,)))
        await go(tmp_path / "run", path, simulator, rate=10.0, meanwhile=stop)
        await asyncio.sleep(60.0)
        return await go(tmp_path / "run", path, simulator, rate=10.0, in_flight=4, fuse=None)

    came = run(resumed())
    assert came.report["failed"] == 40
    assert came.report["submits_total"] == 80


def test_a_dead_link_gets_one_fresh_result_and_never_a_new_submit(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="file", kind="410", first=1),))
    came, stats, _ = one_run(tmp_path, lines(10), profile)
    assert came.exit_code in {0, 3}
    assert stats["submits_accepted"] == 10
    assert came.report["done"] == 10


def test_a_job_that_never_ends_is_given_up_on_and_can_be_collected_later(tmp_path: Path) -> None:
    profile = steady(latency=Latency(kind="fixed", median=5000.0))
    came, stats, folder = one_run(tmp_path, lines(3), profile, timeout=600.0)
    assert came.exit_code == 3
    assert stats["submits_accepted"] == 3
    failure = json.loads((folder / "failures.jsonl").read_text().splitlines()[0])
    assert failure["cause"]["kind"] == "timeout"
    assert failure["request_id"]


def test_two_runs_of_the_same_night_agree_in_every_number(tmp_path: Path) -> None:
    profile = Profile(
        latency=Latency(kind="lognormal", median=5.0),
        faults=(
            Fault(where="submit", kind="429_seconds", probability=0.1),
            Fault(where="result", kind="503", probability=0.1),
            Fault(where="file", kind="500", probability=0.2),
            Fault(where="result", kind="failed", probability=0.1),
        ),
    )
    facts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        came, stats, _ = one_run(tmp_path / name, lines(40), profile, rate=8.0, in_flight=20)
        facts.append((came.report["done"], came.report["failed"], came.report["submits"], stats["calls"]["submit"]))
        assert came.report["in_doubt"] == 0
        assert came.report["done"] + came.report["failed"] == 40
    assert facts[0] == facts[1]
