"""The exit code of a run is the most severe of those that apply."""

import asyncio
from itertools import combinations

import pytest

from batcher.core.job import Counts
from batcher.runner.report import exit_code
from batcher.runner.stop import SEVERITY, Reason, Stop

ORDER = (77, 73, 69, 130, 5, 3, 4)  # as promised
COUNTS = {5: Counts(total=1, in_doubt=1), 3: Counts(total=1, failed=1), 4: Counts(total=1)}
DONE = Counts(total=1, done=1)


def of(reasons: list[Reason], *counts: Counts) -> int:
    """The exit code of a run with these reasons to stop and the sum of these counts."""

    async def stopped() -> Stop:
        stop = Stop()
        for reason in reasons:
            stop.request(reason)
        return stop

    names = ("total", "done", "failed", "in_doubt")
    whole = Counts(**{name: sum(getattr(one, name) for one in (DONE, *counts)) for name in names})
    return exit_code(whole, asyncio.run(stopped()))


def test_the_codes_combine_in_the_order_that_is_promised() -> None:
    assert tuple(code for code in SEVERITY if code in ORDER) == ORDER


@pytest.mark.parametrize(("more", "less"), [*combinations(ORDER, 2)])
def test_of_two_that_apply_the_more_severe_is_the_exit_code(more: int, less: int) -> None:
    reasons = [reason for reason in Reason if reason.exit_code in {more, less}]
    counts = [COUNTS[code] for code in (more, less) if code in COUNTS]
    assert of(reasons, *counts) == of(reasons[::-1], *counts) == more


def test_a_budget_that_the_last_job_reached_left_no_work() -> None:
    assert of([Reason.BUDGET]) == of([]) == 0
