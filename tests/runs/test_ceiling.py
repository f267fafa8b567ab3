"""A ceiling is a ceiling: whole runs in virtual time against a service that charges, and says, what it likes."""

from pathlib import Path
from typing import Any

import pytest

from batcher.simulator import Simulator
from tests.support.stage import Came, go, lines, steady
from tests.support.virtual import run


def spent(tmp_path: Path, budget: float, costs: list[Any], **options: Any) -> tuple[float, Came]:
    """Dollars that the service charged, and what the run came to. costs: as the simulator's profile has them."""
    path = tmp_path / "manifest.txt"
    path.write_text(lines(100))

    async def all_of_it() -> tuple[float, Came]:
        service = Simulator(steady(costs=costs))
        came = await go(tmp_path / "run", path, service, budget=budget, **options)
        return service.counters.charged_usd, came

    return run(all_of_it())


@pytest.mark.parametrize(
    "costs",
    [
        [0.08],  # four pictures, where the price is for one
        [5.0],  # a price of another unit
        [1e6],
        [0, 0.3, 0.02],
        [0.02, 0.2, 0.06],
        [0.02] * 30 + [0.08] * 70,  # a price that goes up in the night
        [None],
        [None, 0.08],
        [-1],
        ["free"],
        ["0.08"],
        [True],
        [{"usd": 0.08}],
    ],
)
def test_a_ceiling_is_passed_by_one_job_at_most_whatever_the_service_says_of_its_costs(
    tmp_path: Path, costs: list[Any]
) -> None:
    charged, came = spent(tmp_path, 1.0, costs)
    amounts = [cost for cost in costs if type(cost) in {int, float} and cost >= 0]
    assert charged <= 1.0 + max([0.02, *amounts]) + 1e-9
    assert charged > 0.2, "and it is used"
    assert came.exit_code == 4


def test_what_an_earlier_process_learned_of_costs_is_known_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "manifest.txt"
    path.write_text(lines(400))

    async def twice() -> tuple[float, float]:
        service = Simulator(steady(costs=[0.3]))
        await go(tmp_path / "run", path, service, budget=3.0)
        first = service.counters.charged_usd
        await go(tmp_path / "run", path, service, budget=6.0)
        return first, service.counters.charged_usd

    first, both = run(twice())
    assert 2.7 <= first <= 3.3
    assert 5.7 <= both <= 6.3


@pytest.mark.parametrize("costs", [[0.02] * 12 + [50.0] * 100, [None] * 12 + [50.0] * 100, [0.02, 50.0, 0.02, 1e6]])
def test_with_one_job_at_a_time_a_ceiling_is_passed_by_one_job_whatever_jobs_cost(
    tmp_path: Path, costs: list[Any]
) -> None:
    charged, came = spent(tmp_path, 1.0, costs, in_flight=1)
    assert charged <= 1.0 + max(cost for cost in costs if cost)
    assert came.exit_code == 4


@pytest.mark.parametrize(("budget", "seconds"), [(2.0, 22.0), (3.3, 8.0)])
def test_a_budget_that_covers_everything_costs_no_more_than_some_jobs_of_time(
    tmp_path: Path, budget: float, seconds: float
) -> None:
    charged, came = spent(tmp_path, budget, [0.02])
    assert charged == pytest.approx(2.0)
    assert came.exit_code == 0
    assert came.seconds < seconds, "100 jobs of 1 s, 50 of them each second: 3 s without a budget"


def test_a_price_that_is_listed_too_low_is_corrected_by_the_first_answer(tmp_path: Path) -> None:
    charged, came = spent(tmp_path, 0.4, [0.08], price=0.02)
    assert charged <= 0.48 + 1e-9
    assert "$0.08 an image, not $0.02" in came.summary
