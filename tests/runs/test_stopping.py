"""Runs that end before their manifest: the fuse, a budget over two runs, Ctrl-C that cancels, a clock that jumps."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.core.job import CancelOutcome
from batcher.runner.stop import Reason
from batcher.simulator import Address, Fault, Latency, Simulator, serve
from tests.support.rude_server import answer, serving
from tests.support.stage import Came, Going, go, lines, steady, visit
from tests.support.virtual import run


def finished(
    tmp_path: Path, simulator: Callable[[], Simulator], jobs: int, **settings: Any
) -> tuple[Came, dict[str, Any]]:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(jobs))

    async def all_of_it() -> tuple[Came, dict[str, Any]]:
        service = simulator()
        came = await go(tmp_path / "run", path, service, **settings)
        return came, service.stats()

    return run(all_of_it())


def test_the_fuse_blows_on_a_row_of_equal_failures_and_collects_what_is_at_the_service(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="result", kind="failed_object"),), charge_failed=True)
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=5.0, attempts=1)
    assert came.exit_code == 69
    assert came.stop.reason is Reason.FUSE
    assert "20 submits in a row" in came.stop.message
    assert 20 <= stats["charged"] <= 20 + 5 * 6, "those in the air when it blew are all that may be added"
    assert came.report["failed"] == stats["charged"], "what was at the service was collected"


def test_rejected_submits_blow_the_fuse_too_though_they_cost_nothing(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="submit", kind="422"),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=50.0)
    assert came.exit_code == 69
    assert stats["calls"]["submit"] < 60


class Elsewhere(Address):
    """A path of the same server at which nothing is."""

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v7"


def test_an_address_that_answers_404_to_catalogue_and_submits_alike_ends_the_run_and_blames_no_job(
    tmp_path: Path,
) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(60))

    async def twice() -> tuple[Came, Came, dict[str, Any]]:
        service = Simulator(steady())
        async with serve(service) as address:
            wrong = await visit(tmp_path / "run", path, Elsewhere(address.host, address.port), service)
            right = await visit(tmp_path / "run", path, address, service)
            return wrong, right, service.stats()

    wrong, right, stats = run(twice())
    assert (wrong.exit_code, wrong.report["stopped_by"]) == (69, "service")
    assert (wrong.report["failed"], wrong.report["pending"], wrong.report["cost_usd"]) == (0, 60, 0.0)
    assert "Check --base-url" in wrong.summary
    assert (right.exit_code, stats["charged"]) == (0, 60)


def test_a_404_that_speaks_of_the_job_fails_it_also_where_there_is_no_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(5))

    async def all_of_it() -> Came:
        async with serving(answer({"detail": "Not Found"}, 404), answer({"message": "no such style"}, 404)) as service:
            address = Address("127.0.0.1", service.port)
            return await visit(tmp_path / "run", path, address, Simulator(steady()))

    came = run(all_of_it())
    assert (came.exit_code, came.report["failed"]) == (3, 5)


def test_submits_that_are_lost_while_reads_go_well_stop_the_run_after_ten_in_a_row(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="submit", kind="500", skip=20, created=True),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=10.0)
    assert came.exit_code == 69
    assert "no usable answer" in came.stop.message
    assert (came.report["done"], came.report["in_doubt"]) == (20, 10), "what was taken up was collected"
    assert stats["submits_accepted"] == 30


def test_once_submits_are_lost_no_job_is_risked_before_a_free_call_to_the_broken_part_was_answered(
    tmp_path: Path,
) -> None:
    profile = steady(faults=(Fault(where="submit", kind="500", skip=20),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=10.0)
    assert came.exit_code == 69
    assert "10 calls in a row to submit got no usable answer" in came.stop.message
    assert came.report["done"] == 20
    assert came.report["in_doubt"] <= 5, "three in a row, and what was in the air"
    assert stats["calls"]["submit"] <= 20 + 10 + 2


def test_submits_that_are_answered_again_go_on_after_one_free_call(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="submit", kind="500", skip=20, count=6),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 60, rate=10.0)
    assert came.exit_code == 5
    assert came.report["in_doubt"] <= 5
    assert came.report["done"] + came.report["in_doubt"] == 60
    assert stats["submits_accepted"] == came.report["done"]


def test_an_empty_balance_ends_the_run_once_everything_paid_for_is_collected(tmp_path: Path) -> None:
    profile = steady(balance=0.2, latency=Latency(kind="fixed", median=30.0))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 50, rate=10.0)
    assert came.exit_code == 77
    assert came.stop.reason is Reason.BALANCE
    assert (stats["submits_accepted"], came.report["done"]) == (10, 10)


NO_READS = [("402", 77, "balance"), ("500", 4, "deadline"), ("429_seconds", 4, "deadline")]


@pytest.mark.parametrize(("kind", "code", "stopped_by"), NO_READS)
def test_reads_that_come_to_nothing_hold_up_no_deadline_and_the_next_run_collects(
    tmp_path: Path, kind: str, code: int, stopped_by: str
) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(40))
    reads = tuple(Fault(where=place, kind=kind, seconds=900.0) for place in ("status", "result"))

    async def twice() -> tuple[Came, Came, dict[str, Any]]:
        service = Simulator(steady(faults=reads, balance=0.6 if kind == "402" else None))
        ill = await go(tmp_path / "run", path, service, rate=2.0, deadline=20.0)
        service.change({"faults": [], "balance": None})
        return ill, await go(tmp_path / "run", path, service), service.stats()

    ill, well, stats = run(twice())
    assert (ill.exit_code, ill.report["stopped_by"]) == (code, stopped_by), ill.summary
    assert ill.report["done"] == 0
    assert ill.seconds < 20.0 + 2 * 60.0
    assert (well.exit_code, well.report["done"]) == (0, 40)
    assert stats["charges_per_input"]["max"] == 1


def test_results_that_are_not_given_without_a_balance_are_not_asked_for_all_night(tmp_path: Path) -> None:
    reads = tuple(Fault(where=place, kind="402") for place in ("status", "result"))
    came, stats = finished(tmp_path, lambda: Simulator(steady(faults=reads)), 20, rate=10.0)
    assert (came.exit_code, came.report["stopped_by"]) == (77, "balance")
    assert came.seconds < 120.0
    assert (came.report["failed"], came.report["in_doubt"], stats["charged"]) == (0, 0, 20)


def test_a_file_host_that_is_down_holds_up_no_deadline(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="file", kind="503"),))
    came, _ = finished(tmp_path, lambda: Simulator(profile), 40, rate=2.0, deadline=10.0)
    assert (came.exit_code, came.report["stopped_by"]) == (4, "deadline")
    assert came.seconds < 10.0 + 2 * 60.0
    assert came.report["failed"] == 0


@pytest.mark.parametrize("kind", ["html_200", "empty"])
def test_a_page_in_place_of_an_image_is_believed_when_it_comes_twice(tmp_path: Path, kind: str) -> None:
    profile = steady(faults=(Fault(where="file", kind=kind),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 10, rate=10.0)
    assert (came.exit_code, came.report["failed"]) == (3, 10)
    assert stats["calls"]["file"] == 2 * 10
    assert came.seconds < 15.0


def test_failures_of_many_kinds_do_not_blow_the_fuse(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="result", kind="content_policy", probability=0.5),))
    came, _ = finished(tmp_path, lambda: Simulator(profile), 120, rate=20.0)
    assert came.exit_code == 3
    assert came.stop.reason is None


def test_a_budget_holds_over_the_life_of_the_run_directory(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(60))

    async def two_runs() -> tuple[Came, Came, dict[str, Any]]:
        service = Simulator(steady())
        first = await go(tmp_path / "run", path, service, budget=0.4)
        second = await go(tmp_path / "run", path, service, budget=0.6)
        return first, second, service.stats()

    first, second, stats = run(two_runs())
    assert (first.report["done"], second.report["done"]) == (20, 30)
    assert stats["charged_usd"] == pytest.approx(0.6)


def test_money_comes_back_when_a_job_costs_less_than_its_price(tmp_path: Path) -> None:
    came, stats = finished(tmp_path, lambda: Simulator(steady(price=0.01)), 100, budget=0.5, price=0.02)
    assert came.exit_code == 4
    assert 48 <= stats["charged"] <= 50, "reserved at 0.02, settled at 0.01"


def test_an_interrupt_that_cancels_tells_what_was_cancelled_from_what_came_too_late(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(40))

    async def cancelled() -> tuple[Came, dict[CancelOutcome, int], dict[str, Any], Came]:
        async def stop(going: Going) -> None:
            await asyncio.sleep(3.0)
            going.context.stop.request(Reason.INTERRUPTED)

        service = Simulator(steady(latency=Latency(kind="fixed", median=30.0), slots=4))
        how = {"rate": 10.0, "in_flight": 40}
        first = await go(tmp_path / "run", path, service, meanwhile=stop, cancel_on_interrupt=True, **how)
        assert first.context is not None
        outcome = dict(first.context.tally.cancelled)
        between = service.stats()
        await asyncio.sleep(300.0)
        second = await go(tmp_path / "run", path, service, **how)
        return first, outcome, between, second

    first, outcome, between, second = run(cancelled())
    assert first.exit_code == 130
    assert outcome[CancelOutcome.TOO_LATE] == 4
    assert outcome[CancelOutcome.CANCELLED] == between["cancelled"] > 20
    assert second.report["done"] == 40 - outcome[CancelOutcome.CANCELLED]
    assert second.report["cancelled"] == outcome[CancelOutcome.CANCELLED]


def test_a_token_that_is_refused_at_a_cancel_ends_the_run_with_its_report(tmp_path: Path) -> None:
    async def stop(going: Going) -> None:
        await asyncio.sleep(1.0)
        going.context.stop.request(Reason.INTERRUPTED)

    profile = steady(latency=Latency(kind="fixed", median=30.0), faults=(Fault(where="cancel", kind="400004"),))
    came, stats = finished(
        tmp_path, lambda: Simulator(profile), 20, rate=10.0, meanwhile=stop, cancel_on_interrupt=True
    )
    assert (came.exit_code, came.report["stopped_by"]) == (77, "account")
    assert came.report["at_service"] == stats["submits_accepted"] > 0, "left to the next run"
    assert (tmp_path / "run" / "report.json").is_file()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_an_hour_ends_no_job_and_submits_none_twice(tmp_path: Path, jump: float) -> None:
    async def jumping(going: Going) -> None:
        await asyncio.sleep(3.0)
        wall = going.context.clock.wall
        going.context.clock.wall = lambda: wall() + jump

    profile = steady(latency=Latency(kind="fixed", median=4.0))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 60, rate=10.0, timeout=600.0, meanwhile=jumping)
    assert came.exit_code == 0
    assert stats["charges_per_input"]["max"] == 1
    assert came.report["submit_rate"] > 3.0


def test_a_machine_that_slept_eight_hours_collects_what_finished_meanwhile(tmp_path: Path) -> None:
    async def asleep(going: Going) -> None:
        await asyncio.sleep(5.0)
        wall = going.context.clock.wall
        going.context.clock.wall = lambda: wall() + 8 * 3600.0

    came, stats = finished(tmp_path, lambda: Simulator(steady()), 60, rate=10.0, timeout=600.0, meanwhile=asleep)
    assert came.exit_code == 0
    assert stats["submits_accepted"] == 60


def test_max_failures_starts_nothing_new(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="result", kind="content_policy"),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 200, rate=5.0, max_failures=5, fuse=None)
    assert came.exit_code == 3
    assert json.loads((tmp_path / "run" / "report.json").read_text())["stopped_by"] == "max_failures"
    assert stats["submits_accepted"] < 40


def test_quick_rejections_between_slow_images_are_no_row(tmp_path: Path) -> None:
    slow, some = Latency(kind="uniform", low=4.0, high=5.0), Fault(where="submit", kind="422", probability=0.2)
    came, stats = finished(
        tmp_path, lambda: Simulator(steady(latency=slow, faults=(some,))), 160, rate=50.0, in_flight=160
    )
    assert came.exit_code == 3
    assert came.stop.reason is None
    assert came.report["failed"] > 20, "more than the fuse allows in a row, before the first picture"
    assert came.report["done"] + came.report["failed"] == 160
    assert stats["charged"] == came.report["done"]


@pytest.mark.parametrize("kind", ["no_url", "url_untrusted"])
def test_submits_that_are_paid_for_and_bring_nothing_blow_the_fuse(tmp_path: Path, kind: str) -> None:
    profile = steady(faults=(Fault(where="result", kind=kind),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=5.0)
    assert came.exit_code == 69
    assert stats["charged"] < 100


def test_nothing_more_is_paid_for_while_no_file_can_be_had(tmp_path: Path) -> None:
    profile = steady(faults=(Fault(where="file", kind="html_200"),))
    came, stats = finished(tmp_path, lambda: Simulator(profile), 500, rate=5.0)
    assert came.exit_code == 69
    assert stats["charged"] < 120


def test_a_price_told_too_low_is_corrected_by_what_the_service_charges(tmp_path: Path) -> None:
    came, stats = finished(tmp_path, lambda: Simulator(steady(price=0.1)), 60, budget=1.0, price=0.02, in_flight=4)
    assert came.exit_code == 4
    assert stats["charged_usd"] <= 1.0 + 4 * 0.1, "what was at the service when the real price became known"
    assert "charges $0.10" in came.summary


def test_enough_failures_of_earlier_runs_start_nothing(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(60))

    async def twice() -> tuple[int, int]:
        service = Simulator(steady(faults=(Fault(where="result", kind="content_policy"),)))
        await go(tmp_path / "run", path, service, rate=5.0, max_failures=3, fuse=None)
        before = int(service.stats()["submits_accepted"])
        await go(tmp_path / "run", path, service, rate=5.0, max_failures=3, fuse=None)
        return before, int(service.stats()["submits_accepted"])

    before, after = run(twice())
    assert before == after
