"""Who has which order: properties over any history of givings, losses and answers, early, late, double and foreign."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from batcher.core.errors import Cause, FileUnavailable
from batcher.core.job import Entry, Job, State
from batcher.runner.engines.messages import Order, Outcome
from batcher.runner.engines.orders import PATIENCE, Orders

WORKERS = 3
NO = FileUnavailable(Cause(kind="http_503", message="later"))


def entry(number: int) -> Entry:
    job = Job(
        key=f"{number:032x}", model="a/b", inputs={}, copy=1, prompt_id="p", meta={}, source="x", line=1,
        path=str(number),
    )  # fmt: skip
    return Entry(id=number, job=job, state=State.READY, path=str(number))


class History:
    """What happened so far. Each method is a step."""

    def __init__(self) -> None:
        self.orders = Orders()
        self.now = 0.0
        self.added = 0
        self.given: list[Order] = []
        self.closed: list[int] = []

    def add(self) -> None:
        self.added += 1
        self.orders.add(entry(self.added), self.now)

    def give(self, worker: int, most: int) -> None:
        given = self.orders.give(worker, most, self.now, alone=False)
        assert len(given) <= most
        self.given += given

    def lost(self, worker: int) -> None:
        self.orders.lost(worker)

    def overdue(self, worker: int) -> None:
        self.now += PATIENCE
        self.orders.overdue(worker, self.now)

    def answer(self, which: int, well: bool) -> None:
        """Of any giving, however long ago it was and whether it was answered or not."""
        if self.given:
            order = self.given[which % len(self.given)]
            if self.orders.heard(Outcome(order.entry.id, order.giving, [] if well else NO)):
                self.closed.append(order.entry.id)

    def stranger(self) -> None:
        assert not self.orders.heard(Outcome(self.added + 1, 1, []))


workers = some.integers(0, WORKERS - 1)
steps = some.lists(
    some.one_of(
        some.just(("add",)),
        some.tuples(some.just("give"), workers, some.integers(1, 5)),
        some.tuples(some.sampled_from(["lost", "overdue"]), workers),
        some.tuples(some.just("answer"), some.integers(0, 200), some.booleans()),
        some.just(("stranger",)),
    ),
    max_size=80,
)


@given(steps)
def test_every_order_is_closed_once_whatever_happens_to_workers_and_answers(walk: list[tuple[Any, ...]]) -> None:
    history = History()
    orders, closed = history.orders, history.closed
    for what, *rest in walk:
        getattr(history, what)(*rest)
        held = sum(orders.held(worker) for worker in range(WORKERS))
        assert orders.waiting + held + len(closed) == history.added
    assert len({order.giving for order in history.given}) == len(history.given)
    for worker in range(WORKERS):
        orders.lost(worker)
    for order in orders.give(0, history.added + 1, history.now, alone=True):
        assert orders.heard(Outcome(order.entry.id, order.giving, NO))
        closed.append(order.entry.id)
    assert sorted(closed) == list(range(1, history.added + 1))


def test_what_a_worker_did_not_answer_goes_to_another_and_its_late_success_still_counts() -> None:
    orders = Orders()
    orders.add(entry(1), 0.0)
    (first,) = orders.give(0, 64, 0.0, alone=False)
    assert orders.overdue(0, PATIENCE - 1) == 0
    assert orders.overdue(0, PATIENCE) == 1
    assert orders.give(0, 64, PATIENCE, alone=False) == []
    (second,) = orders.give(1, 64, PATIENCE, alone=False)
    assert orders.overdue(1, 2 * PATIENCE) == 0  # the second time it has twice as long
    assert not orders.heard(Outcome(1, first.giving, NO))
    assert orders.heard(Outcome(1, first.giving, []))
    assert not orders.heard(Outcome(1, second.giving, []))
    assert orders.held(1) == 0


def test_a_later_try_of_a_job_does_not_take_the_answer_of_an_earlier_one() -> None:
    orders = Orders()
    orders.add(entry(1), 0.0)
    (first,) = orders.give(0, 64, 0.0, alone=True)
    assert orders.heard(Outcome(1, first.giving, NO))
    orders.add(entry(1), 5.0)
    (second,) = orders.give(0, 64, 5.0, alone=True)
    assert not orders.heard(Outcome(1, first.giving, NO))
    assert orders.heard(Outcome(1, second.giving, NO))
