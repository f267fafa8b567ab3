"""The memory of a run: one SQLite file, one process at a time, group commit off the event loop."""

from batcher.store.ballast import Ballast
from batcher.store.opening import INTENT, LOCK, STATE, connect_to_read, has_state, locked, prepare
from batcher.store.queue import CommitQueue
from batcher.store.statefile import StateFile

__all__ = [
    "INTENT",
    "LOCK",
    "STATE",
    "Ballast",
    "CommitQueue",
    "StateFile",
    "connect_to_read",
    "has_state",
    "locked",
    "prepare",
]
