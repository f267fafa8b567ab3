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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.errors import DiskError, UsageError
from batcher.core.job import Artifact, Entry, Job, State, sidecar
from batcher.core.naming import fold, numbered, with_key
from batcher.core.one_line import one_line
from batcher.core.version import __version__
from batcher.manifest import Manifest
from batcher.runner.progress import Progress, counted, counting
from batcher.runner.records import STALE
from batcher.store import INTENT, StateFile, auditing, reading
from batcher.store.files.disk import disk, force_folder
from batcher.store.files.place import Shelf

SHOWN = 5  # collisions
_GROUP = 200  # jobs a commit
_OPEN = 64  # files at a time
_IN_THE_AIR = frozenset({State.SUBMITTING, State.RUNNING, State.READY})  # their files may be on their way


class Move(NamedTuple):
    """A job, by row number and state, and the path that it has and gets."""

    id: int
    state: State
    old: str
    new: str


def due(connection: Any, run_dir: Path, manifest: Manifest, say: Progress) -> int:
    """How many jobs would be renamed. Raises UsageError when two would share a name; touches nothing."""
    _leads_in.cache_clear()
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
    names = _Files(state).move(dict(intent))
    renames = [partial(state.rename, number, new, names.get(number, [])) for number, new in intent]
    state.must_commit([*renames, partial(state.set_meta, **{INTENT: None})])


def _moves(connection: Any, manifest: Manifest, say: Progress) -> Iterator[Move]:
    walk = iter(counted(manifest.jobs(), counting(say, "comparing names: {:,} jobs so far")))
    while jobs := list(islice(walk, _GROUP)):
        known = reading.known(connection, [bytes.fromhex(job.key) for job in jobs])
        for job in jobs:
            row = known.get(bytes.fromhex(job.key))
            if row is not None and is_due(job, row):
                yield Move(row[0], State(row[1]), row[4], job.path)


def is_due(job: Job, row: reading.Known) -> bool:
    """Whether this job, as it is known, gets the name that the manifest gives it now."""
    return State(row[1]) not in _IN_THE_AIR and not _is_in_place(job, row[4])


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
    return _leads_in(str(run_dir), file.rpartition("/")[0])


@lru_cache(maxsize=4_096)  # forgotten before each look
def _leads_in(run_dir: str, folder: str) -> bool:
    root, real = os.path.realpath(f"{run_dir}/images"), os.path.realpath(f"{run_dir}/{folder}")
    return real == root or real.startswith(root + os.sep)


def _renamed(artifact: Artifact, path: str) -> str:
    extension = artifact.file.rpartition(".")[2]
    return f"images/{numbered(path, artifact.output_index, artifact.output_count)}.{extension}"


def _sidecar_of(file: str) -> str:
    return f"{file.rpartition('.')[0]}.json"


class _Change(NamedTuple):
    """A picture and its sidecar, from where they are to where they go. file: the new name, as in the state file."""

    file: str
    old: Path
    new: Path
    old_card: Path
    new_card: Path
    says: Mapping[str, Any]


class _Files:
    """The files of one group. Every step is taken for all of them, so that each folder is forced once."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._run_dir = state.path.parent
        self._shelf = Shelf(self._run_dir)
        self._simulated = bool(reading.meta(state.connection, "simulated"))

    def move(self, paths: Mapping[int, str]) -> dict[int, list[tuple[int, str]]]:
        """Moves the files of these jobs to their new paths; by job, its output indexes with their new names."""
        changes: list[_Change] = []
        names: dict[int, list[tuple[int, str]]] = {}
        for entry, artifacts in auditing.finished(self._state.connection, sorted(paths)):
            for artifact in artifacts:
                file = _renamed(artifact, paths[entry.id])
                names.setdefault(entry.id, []).append((artifact.output_index, file))
                changes.append(self._change(entry, artifact, file))
        for start in range(0, len(changes), _OPEN):
            self._write_sidecars(changes[start : start + _OPEN])
        self._rename(changes)
        return names

    def _change(self, entry: Entry, artifact: Artifact, file: str) -> _Change:
        old, new = self._run_dir / artifact.file, self._shelf.locate(file.removeprefix("images/"))
        old_card, new_card = self._run_dir / _sidecar_of(artifact.file), new.with_name(_sidecar_of(new.name))
        if os.path.lexists(old) and os.path.lexists(new) and not (new.exists() and old.exists() and old.samefile(new)):
            raise DiskError(  # they are the same where letter case makes no difference
                f"{one_line(file, 200)} is in the way of a picture that gets this name",
                hint="Move it elsewhere, and run the same command again. Nothing is lost.",
            )
        card = self._card(entry, artifact, old_card if old_card.is_file() else new_card)
        return _Change(file, old, new, old_card, new_card, {**card, "file": file})

    def _write_sidecars(self, changes: Sequence[_Change]) -> None:
        parts = []
        try:
            for change in changes:
                part = self._shelf.sidecar(_sidecar_of(change.file)[len("images/") : -len(".json")], change.says)
                parts.append(part)
                part.hint()
            for part in parts:
                part.force()
            for part in parts:
                part.land()
        except BaseException:
            for part in parts:
                part.drop()
            raise

    def _rename(self, changes: Sequence[_Change]) -> None:
        for change in changes:
            with disk(change.file):
                if os.path.lexists(change.old):
                    os.replace(change.old, change.new)  # noqa: PTH105  one spelling for all renames
        _force({change.new.parent for change in changes})
        for change in changes:
            with disk(change.file):
                if os.path.lexists(change.old_card) and not change.old_card.samefile(change.new_card):
                    change.old_card.unlink()
        left = {change.old.parent for change in changes}
        _force(left)
        for folder in sorted(left, reverse=True):
            self._remove_if_empty(folder)

    def _remove_if_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty
            for empty in (folder, *folder.parents):
                if empty == self._run_dir / "images":
                    break
                empty.rmdir()

    def _card(self, entry: Entry, artifact: Artifact, path: Path) -> dict[str, Any]:
        """The sidecar as it is, which knows the version that made it; from the state file where it says another job."""
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_bytes())
            if isinstance(found, dict) and found.get("job") == entry.job.key and found.get("sha256") == artifact.sha256:
                return found
        return sidecar(entry, artifact, simulated=self._simulated, version=__version__)


def _force(folders: Iterable[Path]) -> None:
    for folder in sorted(folders):
        with disk(folder.name):
            if folder.is_dir():
                force_folder(folder)
