"""The state file of a run, ``state.db``: one SQLite database with the jobs, their queue and their history.

What it holds. ``schema.py`` has the tables; ``sqlite3 RUN/state.db 'select * from jobs limit 3'`` reads them.

* ``jobs``: a row for each request ever planned, with its state and its newest attempt. Pending rows are the queue.
* ``past_attempts``: the earlier submits of a job. The view ``attempts`` shows all submits with outcome and cost.
* ``images``: a row for each file on disk. ``media``, ``media_sources``: the files that jobs have as inputs.
* ``meta``: facts about the run as a whole, read and written as one ``RunFacts``.

Which module changes it:

* ``statefile``: every move of a job (claim, accept, complete, save, fail, ...), checked by ``core/lifecycle.py``.
* ``listing``: a manifest is read, so jobs come in, move to another position, or leave the manifest.
* ``job_rows``: jobs that are added one by one, and the facts of the run. ``media``: files as inputs.

``reading``, ``viewing``, ``auditing``, ``exporting``, ``money`` and ``difference`` only ask questions.

How changes are committed. A run calls ``await queue.durable(state.accept, entry, request_id, now)``. ``CommitQueue``
(``commits``) gathers such calls, runs a group of them in one transaction and forces it to the disk once, in a thread.
The await returns when the change is on the disk. Commands without an event loop call ``state.commit``
(``transactions``), which does the same and blocks.

Beside the state file: ``opening`` checks and opens a run directory, ``lock`` lets one process work in it, ``picks``
and ``additions`` are files that people and scripts append to, ``joined`` reads several runs as one, and ``files``
writes and reads every other file.
"""

from batcher.store.ballast import Ballast
from batcher.store.commits import CommitQueue
from batcher.store.facts import RunFacts, read_facts
from batcher.store.lock import LOCK, is_going, locked
from batcher.store.opening import STATE, connect_to_read, has_state, prepare
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
]
