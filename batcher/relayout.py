"""``--relayout``: images and sidecars of earlier runs get the names that the manifest's ``output.path`` gives them now.

All of it is looked at first, and nothing is renamed if two files would get one name. Then it goes in groups: which jobs
get which names is on the disk before the first of their files moves (*the intent*, in ``meta``); the files move; and
the rows change in the same commit that takes the intent back. A kill in between leaves an intent behind, which every
run and every repair carries out before anything else. Each step of it can be done twice: a sidecar is written anew
under the new name, a picture is renamed where it still has the old one, and only then does the old sidecar go.
"""

import json
import os
from array import array
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from batcher import __version__
from batcher.artifacts.disk import disk, force_folder
from batcher.artifacts.place import Shelf
from batcher.errors import DiskError, UsageError
from batcher.job import Artifact, Entry, Job, State, sidecar
from batcher.manifest import Manifest
from batcher.naming import fold, numbered, with_key
from batcher.progress import Progress, counted, counting
from batcher.protocol import one_line
from batcher.store import INTENT, StateFile, auditing, reading
from batcher.tables import STALE

SHOWN = 5  # collisions
_GROUP = 200  # jobs a commit
_IN_THE_AIR = frozenset({State.SUBMITTING, State.RUNNING, State.READY})  # their files may be on their way


class Move(NamedTuple):
    """A job, by row number and state, and the path that it has and gets."""

    id: int
    state: State
    old: str
    new: str


def due(connection: Any, run_dir: Path, manifest: Manifest, say: Progress) -> int:
    """How many jobs would be renamed. Raises UsageError when two would share a name; touches nothing."""
    targets = array("q")
    collisions: list[str] = []
    found = 0
    for move in _moves(connection, manifest, say):
        found += 1
        targets.append(fold(move.new))
        if why := _in_the_way(connection, run_dir, move):
            collisions.append(f"  {one_line(move.new, 120)}  <-  {one_line(move.old, 120)}: {why}")
    twice = {one for one, after in pairwise(sorted(targets)) if one == after}
    if twice:
        # Looked for again: names are kept as numbers, and those that are shared are few.
        moves = _moves(connection, manifest, say)
        shared = (move for move in moves if fold(move.new) in twice)
        lines = [
            f"  {one_line(move.new, 120)}  <-  {one_line(move.old, 120)}: not the only one"
            for move in islice(shared, SHOWN)
        ]
        collisions = [*lines, *collisions]
    if collisions:
        more = "\n  ..." if len(collisions) > SHOWN else ""
        raise UsageError(
            "--relayout: these can't have the names that output.path gives them, and nothing was renamed:\n"
            + "\n".join(collisions[:SHOWN])
            + more,
            hint="Put what tells them apart into output.path, or go by way of another output.path first.",
        )
    return found


def relayout(state: StateFile, manifest: Manifest, say: Progress) -> int:
    """Renames; how many jobs. Hold the run lock. Raises UsageError before anything is renamed, DiskError."""
    run_dir = state.path.parent
    total = due(state.connection, run_dir, manifest, say)
    if not total:
        return 0
    tell = counting(say, f"renaming: {{:,}} of {total:,} jobs")
    moves = counted(_moves(state.connection, manifest, say), tell)
    while group := list(islice(moves, _GROUP)):
        intent = [[move.id, move.new] for move in group]
        state.must_commit([partial(state.set_meta, **{INTENT: intent}, **STALE)])
        finish(state)
    say.say(f"{total:,} jobs have the names that output.path gives them now")
    return total


def finish(state: StateFile) -> None:
    """Carries out the intent that is on the disk, if there is one. Hold the run lock. Raises DiskError."""
    intent: list[tuple[int, str]] | None = reading.meta(state.connection, INTENT)
    if not intent:
        return
    files = _Files(state)
    renames = [partial(state.rename, number, new, files.move(number, new)) for number, new in intent]
    files.settle()
    state.must_commit([*renames, partial(state.set_meta, **{INTENT: None})])


def _moves(connection: Any, manifest: Manifest, say: Progress) -> Iterator[Move]:
    walk = iter(counted(manifest.jobs(), counting(say, "comparing names: {:,} jobs so far")))
    while jobs := list(islice(walk, _GROUP)):
        known = reading.known(connection, [bytes.fromhex(job.key) for job in jobs])
        for job in jobs:
            row = known.get(bytes.fromhex(job.key))
            if row is not None and State(row[1]) not in _IN_THE_AIR and not _is_in_place(job, row[4]):
                yield Move(row[0], State(row[1]), row[4], job.path)


def _is_in_place(job: Job, path: str) -> bool:
    return path in {job.path, with_key(job.path, job.key)}  # the second, where another job had the name first


def _in_the_way(connection: Any, run_dir: Path, move: Move) -> str:
    """What has the new name already, nothing if it is free."""
    other = auditing.by_path(connection, move.new)
    if other is not None and other.id != move.id:
        return "another job has that name"
    if move.state is not State.DONE or fold(move.old) == fold(move.new):
        return ""
    for _, artifacts in auditing.finished(connection, [move.id]):
        for artifact in artifacts:
            file = _renamed(artifact, move.new)
            if not _is_inside(run_dir, artifact.file):
                return "its file leads out of the folder of images"
            if any(os.path.lexists(run_dir / name) for name in (file, _sidecar_of(file))):
                return f"{one_line(file, 120)} is there, and no job's"
    return ""


def _is_inside(run_dir: Path, file: str) -> bool:
    root, folder = os.path.realpath(run_dir / "images"), os.path.realpath((run_dir / file).parent)
    return folder == root or folder.startswith(root + os.sep)


def _renamed(artifact: Artifact, path: str) -> str:
    extension = artifact.file.rpartition(".")[2]
    return f"images/{numbered(path, artifact.output_index, artifact.output_count)}.{extension}"


def _sidecar_of(file: str) -> str:
    return f"{file.rpartition('.')[0]}.json"


class _Files:
    """The files of one group. Renames are forced to the disk by ``settle``."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._run_dir = state.path.parent
        self._shelf = Shelf(self._run_dir)
        self._simulated = bool(reading.meta(state.connection, "simulated"))
        self._folders: set[Path] = set()

    def move(self, number: int, new: str) -> list[tuple[int, str]]:
        """Moves the files of a job; its output indexes with their new names."""
        names = []
        for entry, artifacts in auditing.finished(self._state.connection, [number]):
            for artifact in artifacts:
                self._move(entry, artifact, _renamed(artifact, new))
                names.append((artifact.output_index, _renamed(artifact, new)))
        return names

    def settle(self) -> None:
        for folder in sorted(self._folders, reverse=True):
            with disk(folder.name):
                force_folder(folder)
            with suppress(OSError):  # not empty
                for empty in (folder, *folder.parents):
                    if empty == self._run_dir / "images":
                        break
                    empty.rmdir()

    def _move(self, entry: Entry, artifact: Artifact, file: str) -> None:
        old, new = self._run_dir / artifact.file, self._shelf.locate(file.removeprefix("images/"))
        old_card, new_card = self._run_dir / _sidecar_of(artifact.file), new.with_name(_sidecar_of(new.name))
        is_same = old.exists() and new.exists() and old.samefile(new)  # where letter case makes no difference
        if os.path.lexists(old) and os.path.lexists(new) and not is_same:
            raise DiskError(
                f"{one_line(file, 200)} is in the way of a picture that gets this name",
                hint="Move it elsewhere, and run the same command again. Nothing is lost.",
            )
        card = self._card(entry, artifact, old_card if old_card.is_file() else new_card)
        self._shelf.put_sidecar(_sidecar_of(file).removeprefix("images/").removesuffix(".json"), {**card, "file": file})
        with disk(artifact.file):
            self._folders |= {path for path in (old.parent, new.parent) if path.is_dir()}
            if os.path.lexists(old):
                os.replace(old, new)  # noqa: PTH105  one spelling for all renames
            if os.path.lexists(old_card) and not old_card.samefile(new_card):
                force_folder(new.parent)
                old_card.unlink()

    def _card(self, entry: Entry, artifact: Artifact, path: Path) -> dict[str, Any]:
        """The sidecar as it is, which knows the version that made it; from the state file where it says another job."""
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_bytes())
            if isinstance(found, dict) and found.get("job") == entry.job.key and found.get("sha256") == artifact.sha256:
                return found
        return sidecar(entry, artifact, simulated=self._simulated, version=__version__)
