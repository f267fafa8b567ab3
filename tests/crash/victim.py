"""``batcher`` with a bomb in it: the real command line, killed with SIGKILL at the n-th durable step.

    python -m tests.crash.victim N STEPS run manifest.yaml ...

A step is the moment before or after something that outlives the process: a statement that makes a table, a commit of
the state file, a submit (before it leaves, and while its answer is on the way), the forcing of a file to the disk, a
rename of a file into its place. Each is noted in the file STEPS with a word for the table, and number N is the last
thing this process does. N = 0 never kills. Below 0 it stops itself (SIGSTOP) at step -N.
"""

import asyncio
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batcher.__main__ import main
from batcher.client.api import Api
from batcher.store import opening, schema
from batcher.store.statefile import StateFile

_NO_MOVES = {"change_facts", "_note", "changed_elsewhere"}  # commits that only note facts of the run
ANSWER_ON_THE_WAY = 0.05  # seconds after which a submit has certainly left; the simulator answers later than that


class Bomb:
    def __init__(self, at: int, notes: Path) -> None:
        self.at = at
        self.count = 0
        self.notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def step(self, word: str) -> None:
        self.count += 1
        os.write(self.notes, f"{word}\n".encode())
        if self.count == abs(self.at):
            os.kill(os.getpid(), signal.SIGKILL if self.at > 0 else signal.SIGSTOP)


def arm(bomb: Bomb) -> None:  # noqa: C901  one wrapper a seam
    """Wraps what outlives the process. The product has no hooks of its own for this."""
    apply, seal, replace, fsync = StateFile.apply, StateFile.seal, os.replace, os.fsync
    create = schema.create
    moves: list[str] = []  # of the open transaction

    def applied(self: StateFile, calls: Any) -> Any:
        counts = Counter(_verb(one) for one in calls)
        moves[:] = [] if set(counts) <= _NO_MOVES else [
            "+".join(f"{verb}*{counts[verb]}" for verb in sorted(counts))
        ]  # fmt: skip
        if moves:
            bomb.step(f"commit {moves[0]}: before")
        return apply(self, calls)

    def sealed(self: StateFile) -> None:
        word = moves.pop() if moves else None
        seal(self)
        if word:
            bomb.step(f"commit {word}: after")

    def posting(call: Callable[..., Any]) -> Callable[..., Any]:
        async def posted(self: Api, *args: Any) -> Any:
            bomb.step("POST: before")
            answer = asyncio.ensure_future(call(self, *args))
            await asyncio.sleep(ANSWER_ON_THE_WAY)
            bomb.step("POST: in the air")
            reply = await answer
            bomb.step("POST: answered")
            return reply

        return posted

    def replaced(source: Any, target: Any, **options: Any) -> None:
        suffix = Path(target).suffix
        bomb.step(f"rename {suffix}: before")
        replace(source, target, **options)
        bomb.step(f"rename {suffix}: after")

    def forced(descriptor: int) -> None:
        bomb.step("fsync: before")
        fsync(descriptor)

    class Stepping:
        """A connection that steps before each statement that makes the tables."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, statement: str) -> sqlite3.Cursor:
            bomb.step("tables: before a statement")
            return self._connection.execute(statement)

    def created(connection: Any) -> None:
        create(Stepping(connection))  # type: ignore[arg-type]  # as much of a connection as this needs

    opening.create = created  # type: ignore[attr-defined]  # the bomb
    os.fsync = forced  # type: ignore[assignment]  # the bomb
    StateFile.apply = applied  # type: ignore[method-assign, assignment]  # the bomb
    StateFile.seal = sealed  # type: ignore[method-assign, assignment]  # the bomb
    Api.submit = posting(Api.submit)  # type: ignore[method-assign]  # the bomb
    Api.cancel = posting(Api.cancel)  # type: ignore[method-assign]  # the bomb
    os.replace = replaced  # type: ignore[assignment]  # the bomb


def _verb(call: Callable[[], Any]) -> str:
    function = getattr(call, "func", call)
    return getattr(function, "__name__", "?")


if __name__ == "__main__":
    arm(Bomb(int(sys.argv[1]), Path(sys.argv[2])))
    sys.argv = ["batcher", *sys.argv[3:]]
    sys.exit(main())
