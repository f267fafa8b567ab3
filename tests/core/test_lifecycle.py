"""The table of moves, held against the drawing in the contract, and what walking it must never reach."""

import pytest

from batcher.core.errors import Defect
from batcher.core.job import State
from batcher.core.lifecycle import MOVES, PAID_FOR, TERMINAL, Event, advance

S, E = State, Event

DOCUMENTED = {
    (S.PENDING, E.CLAIMED, S.SUBMITTING),
    (S.PENDING, E.CANCELLED, S.CANCELLED),
    (S.SUBMITTING, E.ACCEPTED, S.RUNNING),
    (S.SUBMITTING, E.RELEASED, S.PENDING),
    (S.SUBMITTING, E.REJECTED, S.FAILED),
    (S.SUBMITTING, E.DOUBTED, S.IN_DOUBT),
    (S.RUNNING, E.COMPLETED, S.READY),
    (S.RUNNING, E.RETRIED, S.PENDING),
    (S.RUNNING, E.FAILED, S.FAILED),
    (S.RUNNING, E.CANCELLED, S.CANCELLED),
    (S.READY, E.SAVED, S.DONE),
    (S.READY, E.EXPIRED, S.RUNNING),
    (S.READY, E.FAILED, S.FAILED),
    (S.FAILED, E.REOPENED, S.PENDING),
    (S.FAILED, E.RECOLLECTED, S.RUNNING),
    (S.CANCELLED, E.REOPENED, S.PENDING),
    (S.IN_DOUBT, E.REOPENED, S.PENDING),
    (
        S.DONE,
        E.LOST,
        S.READY,
    ),  # these are a repair's: files that are gone are fetched again, files that are there count
    (S.PENDING, E.FOUND, S.DONE),
    (S.FAILED, E.FOUND, S.DONE),
    (S.CANCELLED, E.FOUND, S.DONE),
    (S.IN_DOUBT, E.FOUND, S.DONE),
}
ARROWS = {(state, event, after) for state, moves in MOVES.items() for event, after in moves.items()}
BY_A_PERSON = {E.REOPENED, E.RECOLLECTED, E.LOST, E.FOUND}  # by `batcher retry` and `batcher verify --repair`
TO_PAY_AGAIN = {E.REOPENED, E.RETRIED}  # what has to be on every way from a taken-up submit to a new one


def reachable(start: State, without: set[Event]) -> set[State]:
    """Every state that can follow ``start``, ``start`` itself only if there is a way back to it."""
    seen: set[State] = set()
    frontier = [start]
    while frontier:
        here = frontier.pop()
        for event, after in MOVES[here].items():
            if event not in without and after not in seen:
                seen.add(after)
                frontier.append(after)
    return seen


def test_the_table_has_every_documented_arrow_and_no_other() -> None:
    assert ARROWS == DOCUMENTED


def test_every_state_has_its_row() -> None:
    assert set(MOVES) == set(State)


def test_every_event_is_good_for_something() -> None:
    assert {event for _, event, _ in ARROWS} == set(Event)


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL))
def test_every_state_that_is_not_at_rest_can_come_to_rest_and_to_be_done(state: State) -> None:
    assert reachable(state, set()) & TERMINAL
    assert State.DONE in reachable(state, BY_A_PERSON)


@pytest.mark.parametrize(("state", "event", "after"), sorted(DOCUMENTED))
def test_a_documented_move_leads_where_the_drawing_says(state: State, event: Event, after: State) -> None:
    assert advance(state, event) is after


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_any_other_move_is_a_defect_that_names_state_and_event(state: State, event: Event) -> None:
    if event in MOVES[state]:
        return
    with pytest.raises(Defect) as caught:
        advance(state, event)
    assert str(state) in str(caught.value)
    assert str(event) in str(caught.value)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_only_a_person_moves_a_job_in_a_terminal_state(state: State) -> None:
    assert set(MOVES[state]) <= BY_A_PERSON


def test_what_is_done_is_only_ever_fetched_again() -> None:
    assert MOVES[State.DONE] == {E.LOST: State.READY}


def test_what_is_found_on_the_disk_is_done_and_nothing_else() -> None:
    assert {after for _, event, after in ARROWS if event is E.FOUND} == {State.DONE}


@pytest.mark.parametrize("state", sorted((TERMINAL | PAID_FOR) - {State.DONE}))
def test_no_way_leads_from_a_submit_that_may_have_been_paid_to_another_but_by_retried_or_reopened(state: State) -> None:
    assert State.SUBMITTING in reachable(state, set())
    assert State.SUBMITTING not in reachable(state, TO_PAY_AGAIN)


def test_a_job_in_doubt_goes_nowhere_unless_a_person_says_so() -> None:
    assert reachable(State.IN_DOUBT, BY_A_PERSON) == set()
    assert State.SUBMITTING not in reachable(State.IN_DOUBT, TO_PAY_AGAIN)


def test_asking_again_for_what_was_paid_never_submits() -> None:
    assert MOVES[State.FAILED][E.RECOLLECTED] in PAID_FOR
    assert State.SUBMITTING not in reachable(State.RUNNING, TO_PAY_AGAIN)


def test_what_can_be_reopened_is_what_is_terminal_without_an_image() -> None:
    assert {state for state, moves in MOVES.items() if E.REOPENED in moves} == TERMINAL - {State.DONE}


def test_at_rest_is_exactly_what_only_a_person_can_move() -> None:
    assert {state for state, moves in MOVES.items() if set(moves) <= BY_A_PERSON} == TERMINAL
