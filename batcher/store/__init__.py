"""The state file: the job table of a run in SQLite, its state changes, and group commit off the event loop."""

from batcher.store.ballast import Ballast
from batcher.store.facts import RunFacts, read_facts
from batcher.store.lock import LOCK, is_going, locked
from batcher.store.opening import STATE, connect_to_read, has_state, prepare, remove_state
from batcher.store.queue import CommitQueue
from batcher.store.statefile import StateFile

__all__ = [
    "LOCK",
    "STATE",
    "Ballast",
    "CommitQueue",
    "RunFacts",
    "StateFile",
    "connect_to_read",
    "has_state",
    "is_going",
    "locked",
    "prepare",
    "read_facts",
    "remove_state",
]
