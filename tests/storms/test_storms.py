"""A share of the storms (``python -m tests.storms`` is all of them, and longer ones)."""

import pytest

from batcher.simulator.faults import ERRORS, FILES, OUTCOMES, TRANSPORT
from tests.storms.storm import alone, problems, together

JOBS = 8
# The HTML and empty bodies of 5xx differ only in how they are read, which tests of the protocol pin.
SUBMITS = [kind for kind in (*ERRORS, *TRANSPORT) if not kind.endswith(("_html", "_empty"))]
READS = [
    "400001",
    "400004",
    "404001",
    "429_date",
    "503_seconds",
    "502_html",
    "drop",
    "cut",
    "empty_200",
    "unknown_word",
]


@pytest.mark.parametrize("kind", SUBMITS)
def test_a_storm_at_submits_loses_no_job_and_charges_none_twice(kind: str) -> None:
    assert problems(alone("submit", kind, JOBS), JOBS) == []


@pytest.mark.parametrize("kind", [*READS, *OUTCOMES])
def test_a_storm_at_results_loses_no_job_and_charges_none_twice(kind: str) -> None:
    assert problems(alone("result", kind, JOBS), JOBS) == []


@pytest.mark.parametrize("kind", ["400004", "404001", "429_seconds", "502_html", "drop_after", "html_200"])
def test_a_storm_at_cancels_loses_no_job_and_charges_none_twice(kind: str) -> None:
    assert problems(alone("cancel", kind, 40), 40) == []


@pytest.mark.parametrize("kind", ["401", "429", "503", "cut", "unknown_word"])
def test_a_storm_at_the_status_endpoint_loses_no_job_and_charges_none_twice(kind: str) -> None:
    assert problems(alone("status", kind, JOBS), JOBS) == []


@pytest.mark.parametrize("kind", list(FILES))
def test_a_storm_at_files_loses_no_job_and_pays_nothing_again(kind: str) -> None:
    weather = alone("file", kind, JOBS)
    assert problems(weather, JOBS) == []
    assert weather.in_doubt == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_all_storms_together_lose_no_job_and_charge_none_twice(seed: int) -> None:
    assert problems(together(200, seed), 200) == []
