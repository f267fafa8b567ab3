"""When a doomed run stops: submits without an outcome. (Those that fail are in test_breaker and the runs.)"""

from batcher.core.failure_limit import UNANSWERED, FailureLimit


def test_submits_without_an_outcome_reach_the_limit_when_nothing_is_answered_between() -> None:
    limit = FailureLimit()
    for number in range(UNANSWERED - 1):
        limit.began(number)
        assert limit.doubted(number) is None
    assert "no usable answer" in (limit.doubted(99) or "")


def test_an_answer_of_any_kind_begins_the_row_anew() -> None:
    limit = FailureLimit()
    for number in range(5 * UNANSWERED):
        limit.began(number)
        assert limit.doubted(number) is None
        if number % 3 == 0:
            limit.answered()


def test_without_a_limit_in_a_row_doubt_has_none_either() -> None:
    limit = FailureLimit(in_a_row=None)
    assert all(limit.doubted(number) is None for number in range(100))
