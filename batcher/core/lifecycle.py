"""What may happen to a job: every legal move, as a table. ``store.py`` enforces it, nothing else may move a job.

Three words are kept apart on purpose. *Deferred* is no move at all: a call failed, the job did not, it is asked again
for free. *Expired* and *recollected* go back to ask the service for what was already paid. *Retried*, *released* and
*reopened* lead to a new submit, and of these only a submit that the service had taken up costs money again:

* ``released``: the submit was refused before it was taken up (429, no connection). Nothing was paid.
* ``retried``: the service took it up and failed it. A new submit is a new payment, so it is counted and capped.
* ``reopened``: a person decided, by ``batcher retry`` or ``--in-doubt resubmit``. Nothing else reopens a job.

*Lost* and *found* are ``batcher verify --repair``: a done job whose files are damaged is fetched again, free, and a
job whose files turn out to be on disk, whole and with its sidecar, is done whatever the state file thought.

A job found ``submitting`` at the start of a process was in the air when the last one died. The service has no way to
look it up, so it becomes ``in_doubt`` and stays so until somebody decides: that is the price of never paying twice.
"""

from enum import StrEnum

from batcher.core.errors import Defect
from batcher.core.job import State


class Event(StrEnum):
    CLAIMED = "claimed"  # the intent to submit is being written down
    RELEASED = "released"  # refused before it was taken up: free to submit again
    ACCEPTED = "accepted"  # the service gave a request id
    REJECTED = "rejected"  # the service said no to this request
    DOUBTED = "doubted"  # the outcome of the submit is unknown
    COMPLETED = "completed"  # the links are known
    EXPIRED = "expired"  # a link died: ask for a fresh result, free
    RETRIED = "retried"  # failed over there: a new attempt, paid again
    FAILED = "failed"  # failed for good, or could not be collected
    SAVED = "saved"  # every file is on disk with its sidecar
    CANCELLED = "cancelled"
    REOPENED = "reopened"  # by a person: submit again
    RECOLLECTED = "recollected"  # by a person: it was paid for, ask for it again, free
    LOST = "lost"  # by a repair: its files are damaged or missing, fetch them again, free
    FOUND = "found"  # by a repair: its files are on disk with their sidecars, and the state file did not know


MOVES: dict[State, dict[Event, State]] = {
    State.PENDING: {
        Event.CLAIMED: State.SUBMITTING,
        Event.CANCELLED: State.CANCELLED,
        Event.FOUND: State.DONE,
    },
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
    State.READY: {
        Event.SAVED: State.DONE,
        Event.EXPIRED: State.RUNNING,
        Event.FAILED: State.FAILED,
    },
    State.DONE: {Event.LOST: State.READY},
    State.FAILED: {
        Event.REOPENED: State.PENDING,
        Event.RECOLLECTED: State.RUNNING,
        Event.FOUND: State.DONE,
    },
    State.CANCELLED: {Event.REOPENED: State.PENDING, Event.FOUND: State.DONE},
    State.IN_DOUBT: {Event.REOPENED: State.PENDING, Event.FOUND: State.DONE},
}

AT_REST = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.IN_DOUBT})
PAID_FOR = frozenset({State.RUNNING, State.READY})  # collected before anything new is submitted


def advance(state: State, event: Event) -> State:
    """The state that follows. A move that is not in the table is a bug in batcher and raises Defect."""
    try:
        return MOVES[state][event]
    except KeyError:
        raise Defect(f"a job that is {state} can't be {event}") from None
