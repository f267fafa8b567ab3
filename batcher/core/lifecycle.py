"""Every legal state change of a job, as a table. ``store/statefile.py`` enforces it; nothing else changes a state.

A failed poll or download is not a move: the job keeps its state and the call is repeated, free. ``expired`` and
``recollected`` ask the service again for a result that is already paid for. Only three moves lead to a new submit:

* ``released``: the service refused the submit (429) or it was never sent (no connection). Nothing was charged.
* ``retried``: the service accepted the job and failed it. A new submit costs again, so ``--attempts`` caps it.
* ``reopened``: a person decided, with ``batcher retry`` or ``--in-doubt resubmit``. Nothing else reopens a job.

``lost`` and ``found`` come from ``batcher verify --repair``: a done job with damaged files is fetched again, free; a
job with all its files and sidecars intact on disk is done, whatever the state file said.

A job that is ``submitting`` when a process starts had no answer yet when the previous process died. The service can't
be asked about a submit without a request id, so the job becomes ``in_doubt`` until a person decides.
"""

from enum import StrEnum

from batcher.core.errors import Defect
from batcher.core.job import State


class Event(StrEnum):
    """What happens to a job. ``MOVES`` says in which state it may, and which state follows."""

    CLAIMED = "claimed"  # the intent to submit is being recorded
    RELEASED = "released"  # refused or not sent: a new submit costs nothing extra
    ACCEPTED = "accepted"  # the service returned a request id
    REJECTED = "rejected"  # the service rejected this request
    DOUBTED = "doubted"  # it is unknown whether the service accepted the submit
    COMPLETED = "completed"  # the job finished: its links are recorded
    EXPIRED = "expired"  # a link stopped working: ask for a new result, free
    RETRIED = "retried"  # failed at the service: a new attempt, which costs again
    FAILED = "failed"  # failed finally, or its result could not be fetched
    SAVED = "saved"  # every file and its sidecar are on disk
    CANCELLED = "cancelled"
    REOPENED = "reopened"  # by a person: submit again
    RECOLLECTED = "recollected"  # by a person: already paid for, ask for its result again, free
    LOST = "lost"  # by a repair: its files are damaged or missing, fetch them again, free
    FOUND = "found"  # by a repair: files and sidecars are on disk, though the state file said otherwise


MOVES: dict[State, dict[Event, State]] = {
    State.PENDING: {Event.CLAIMED: State.SUBMITTING, Event.CANCELLED: State.CANCELLED, Event.FOUND: State.DONE},
    State.SUBMITTING: {
        Event.ACCEPTED: State.RUNNING,
        Event.RELEASED: State.PENDING,
        Event.REJECTED: State.FAILED,
        Event.DOUBTED: State.IN_DOUBT,
    },
    State.RUNNING: {
        Event.COMPLETED: State.READY,
        Event.RETRIED: State.PENDING,
        Event.FAILED: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
    },
    State.READY: {Event.SAVED: State.DONE, Event.EXPIRED: State.RUNNING, Event.FAILED: State.FAILED},
    State.DONE: {Event.LOST: State.READY},
    State.FAILED: {Event.REOPENED: State.PENDING, Event.RECOLLECTED: State.RUNNING, Event.FOUND: State.DONE},
    State.CANCELLED: {Event.REOPENED: State.PENDING, Event.FOUND: State.DONE},
    State.IN_DOUBT: {Event.REOPENED: State.PENDING, Event.FOUND: State.DONE},
}

TERMINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.IN_DOUBT})
PAID_FOR = frozenset({State.RUNNING, State.READY})  # their results are fetched before anything new is submitted


def advance(state: State, event: Event) -> State:
    """The next state. Raises Defect for a move that is not in the table: a bug in batcher."""
    try:
        return MOVES[state][event]
    except KeyError:
        raise Defect(f"a job that is {state} can't be {event}") from None
