"""The memory of a run: one SQLite file, one process at a time, group commit off the event loop."""

from batcher.store.ballast import Ballast
from batcher.store.lock import LOCK, is_going, locked
from batcher.store.opening import INTENT, STATE, connect_to_read, has_state, prepare
from batcher.store.queue import CommitQueue
from batcher.store.statefile import StateFile, completed

__all__ = [
    "INTENT",
    "LOCK",
    "STATE",
    "Ballast",
    "CommitQueue",
    "StateFile",
    "completed",
    "connect_to_read",
    "has_state",
    "is_going",
    "locked",
    "prepare",
]
