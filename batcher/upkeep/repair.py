"""Putting a run directory right, as far as that is free.

The order keeps every step safe to be killed after: bytes that are right but in the wrong place go home first; then
what is in the way goes to ``lost+found``; then the state file learns what it should know, sidecars are written from
it, and last the pictures that are lost are fetched. A lost job is moved in the state file before its damaged file is
touched, so a repair that ends half way is finished by the next one, or by the next run.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from msgspec import structs

from batcher.core.errors import Damaged, FileRefused, FileUnavailable
from batcher.core.job import Artifact, Entry, canonical_json, sidecar
from batcher.core.version import __version__
from batcher.images.check import examine
from batcher.images.storage import place_of, reader_of, url_of
from batcher.runner import records
from batcher.runner.collecting import Collected, collect
from batcher.runner.lost_and_found import move_aside
from batcher.runner.progress import Progress, listener
from batcher.runner.service import Options
from batcher.store import STATE, StateFile, auditing, connect_to_read, has_state, locked
from batcher.store.files.disk import disk
from batcher.store.files.place import Shelf
from batcher.store.files.safe_reader import IMAGES, Absent, NotAFile, Outside, sidecar_of, stem
from batcher.store.files.whole import force
from batcher.store.files.whole import put_in_place as land
from batcher.upkeep.findings import Finding, Fix, Kind, gone, of_job
from batcher.upkeep.inspection import LIMITS, Depth, recorded_as
from batcher.upkeep.rebuild import Rebuilt, put_in_place, take_in
from batcher.upkeep.survey import Survey, look

_GROUP = 200  # jobs a commit
MOST_ROUNDS = 2  # what was taken into the state file may turn out to be damaged itself
_SIDECAR = frozenset({Kind.SIDECAR_MISSING, Kind.SIDECAR_UNREADABLE, Kind.SIDECAR_DIFFERS})
_LOST = frozenset({Kind.MISSING, Kind.TRUNCATED, Kind.CHANGED, Kind.OUTSIDE, Kind.INCOMPLETE})


@dataclass(slots=True)
class Repaired:
    """before, after: the check without and with the repair; left: what it could not fix. how: what was done, counted.

    rebuilt: None when the state file was there. ``how`` names each in the singular, its first word takes the s.
    """

    before: Survey
    left: list[Finding] = field(default_factory=list)
    how: dict[str, int] = field(default_factory=dict)
    rebuilt: Rebuilt | None = None

    def did(self, what: str, count: int = 1) -> None:
        if count:
            self.how[what] = self.how.get(what, 0) + count
            if not self.how[what]:
                del self.how[what]


async def repair(run_dir: Path, options: Options, *, depth: Depth, threads: int, progress: Progress | None) -> Repaired:
    """Checks, fixes what can be had free, checks again. Raises BusyError, UsageError, DiskError."""
    with ExitStack() as held:
        held.enter_context(locked(run_dir))
        damaged = _set_aside_if_damaged(run_dir)
        rebuilt = None if has_state(run_dir) else put_in_place(run_dir)
        state = StateFile(run_dir / STATE)
        held.callback(state.close)
        look_again = partial(look, run_dir, state.connection, depth=depth, threads=threads, alone=True)
        before = look_again(progress=progress)
        repaired = Repaired(before, rebuilt=rebuilt)
        if rebuilt is not None:
            kind = Kind.STATE_DAMAGED if damaged else Kind.STATE_MISSING
            missing = Finding(kind=kind, file=STATE, message="made anew", fix=Fix.FREE)
            before.findings.insert(0, missing)
            repaired.did("state file rebuilt from the sidecars")
        repaired.left = before.findings
        not_fetched: list[Finding] = []
        for _ in range(MOST_ROUNDS):
            if not any(finding.fix is Fix.FREE for finding in repaired.left):
                break
            repairer = _Repairer(run_dir, state, repaired, repaired.left)
            collected = await collect(state, repairer.fix_on_disk(), options, depth)
            repaired.did("job fetched again, free", len(collected.saved))
            repairer.bring_back({entry.id for entry, _ in collected.later})
            repairer.write_tables()
            not_fetched += repairer.not_collected(collected)
            jobs = {finding.job for finding in not_fetched}
            after = look_again(only=repairer.touched).findings
            repaired.left = [one for one in after if one.kind is not Kind.UNFETCHED or one.job not in jobs]
        repaired.left += not_fetched
        return repaired


def _set_aside_if_damaged(run_dir: Path) -> bool:
    """Moves a state file that SQLite can't read to lost+found: nothing that it says can be relied upon."""
    if not os.path.lexists(run_dir / STATE) or ((run_dir / STATE).is_file() and not has_state(run_dir)):
        return False  # or of no bytes: there is nothing to keep
    try:
        with closing(connect_to_read(run_dir)) as connection:
            damage = auditing.damage(connection)
    except (sqlite3.DatabaseError, Damaged) as error:
        damage = str(error)
    if damage is None:
        return False
    for suffix in ("", "-wal", "-shm"):
        move_aside(run_dir, STATE + suffix)
    return True


class _Repairer:
    def __init__(self, run_dir: Path, state: StateFile, repaired: Repaired, findings: Sequence[Finding]) -> None:
        self.run_dir = run_dir
        self.state = state
        self.repaired = repaired
        in_bucket = url_of(run_dir) is not None  # there it is cheaper to fetch a picture again than to move it
        self.findings = [replace(one, source=None) for one in findings] if in_bucket else findings
        self.touched = {finding.entry.id for finding in self.findings if finding.entry is not None}
        self.price = state.facts.price_usd
        self._shelf = place_of(run_dir)
        self._reader = reader_of(run_dir)
        self._simulated = state.facts.simulated
        self._kept_aside: list[tuple[int, str, str]] = []  # of lost jobs: id, a file of theirs, and where it is now

    def fix_on_disk(self) -> list[Entry]:
        """All that needs no network. Gives the jobs whose files have to be fetched, moved to READY or RUNNING."""
        self.state.must_commit([self.state.outdate_tables])
        self._aside(finding.file for finding in self.findings if finding.kind is Kind.OUTSIDE and not finding.entry)
        self._reader = reader_of(self.run_dir)  # without what those links led to
        self._put_back([finding for finding in self.findings if finding.source is not None])
        strays = [finding for finding in self.findings if finding.kind in {Kind.ORPHAN, Kind.LEFTOVER}]
        self._aside(finding.file for finding in strays)
        self._take_in([finding for finding in self.findings if finding.kind is Kind.UNRECORDED])
        self._correct([finding for finding in self.findings if finding.kind is Kind.FACTS_DIFFER])
        lost = [finding for finding in self.findings if _is_lost(finding) and not self._is_whole_now(finding)]
        lost_ids = {finding.entry.id for finding in lost if finding.entry is not None}
        self._write_sidecars(self._with_doubtful_sidecars() - lost_ids)
        unfetched = [one.entry for one in self.findings if one.kind is Kind.UNFETCHED and one.entry is not None]
        return [*self._lose(lost, lost_ids), *unfetched]

    def _aside(self, files: Iterable[str]) -> list[str]:
        """Where they are now, those that were there."""
        moved = []
        for file in files:
            try:
                self._reader.path(file)
            except Outside:
                continue  # a name in a tampered state file must not make us move what isn't ours
            if (now := move_aside(self.run_dir, file)) is not None:
                moved.append(now)
                self.repaired.did("file moved to lost+found")
        return moved

    def _put_back(self, misplaced: Sequence[Finding]) -> None:
        """Every right picture is copied beside its place first, so that a circle of swapped ones comes apart."""
        wanted = {finding.source for finding in misplaced}
        staged = []
        for finding in misplaced:
            assert finding.source is not None
            temp = self._temp(finding.file)
            with disk(finding.file):
                if self.run_dir / finding.source != temp:
                    shutil.copyfile(self.run_dir / finding.source, temp, follow_symlinks=True)
            staged.append((finding, temp))
        for finding, temp in staged:
            if finding.file not in wanted:
                self._aside([finding.file])
            with disk(finding.file):
                force(temp)
                land(temp, self.run_dir / finding.file)
            self.repaired.did("image put back in its place")

    def _temp(self, file: str) -> Path:
        name = file.removeprefix(f"{IMAGES}/")
        digits = blake2b(f"home {file}".encode(errors="surrogatepass"), digest_size=8).hexdigest()
        return Shelf(self.run_dir).locate(name).with_name(f".{digits}.part")

    def _take_in(self, unrecorded: Sequence[Finding]) -> None:
        for start in range(0, len(unrecorded), _GROUP):
            group = unrecorded[start : start + _GROUP]
            self.state.must_commit([partial(take_in, self.state, finding.sidecars, listed=False) for finding in group])
            self.repaired.did("job taken into the state file", len(group))
        for finding in unrecorded:
            entry = auditing.by_key(self.state.connection, finding.job or "")
            if entry is not None:
                self.touched.add(entry.id)

    def _correct(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            for entry, artifacts in self._files_of([finding.entry.id] if finding.entry else []):
                really = [self._really(artifact) for artifact in artifacts if artifact.file == finding.file]
                self.state.must_commit([partial(self.state.redescribe, entry, [one for one in really if one])])
                self.repaired.did("fact corrected in the state file")

    def _really(self, artifact: Artifact) -> Artifact | None:
        try:
            with self._reader.reading(artifact.file) as data:
                facts = examine(data, depth="structure", limits=LIMITS, announced=recorded_as(artifact))
        except (Absent, Outside, NotAFile, OSError, FileUnavailable, FileRefused):
            return None
        size = facts.size or (None, None)
        return structs.replace(
            artifact, bytes=facts.bytes, sha256=facts.sha256, mime=facts.kind.mime, width=size[0], height=size[1]
        )

    def _with_doubtful_sidecars(self) -> set[int]:
        """Those found wrong, and those of jobs whose facts were corrected or that were taken in."""
        kinds = {*_SIDECAR, Kind.FACTS_DIFFER}
        ids = {finding.entry.id for finding in self.findings if finding.entry and _needs_sidecar(finding, kinds)}
        taken_in = {finding.job for finding in self.findings if finding.kind is Kind.UNRECORDED and finding.job}
        entries = (auditing.by_key(self.state.connection, key) for key in taken_in)
        return ids | {entry.id for entry in entries if entry is not None}

    def _write_sidecars(self, ids: set[int]) -> None:
        for entry, artifacts in self._files_of(sorted(ids)):
            for artifact in artifacts:
                values = self._sidecar(entry, artifact)
                if self._says(artifact, values):
                    continue
                self._aside([sidecar_of(artifact.file)])
                self._shelf.put_sidecar(stem(artifact.file).removeprefix(f"{IMAGES}/"), values)
                self._shelf.settle(artifact.file.removeprefix(f"{IMAGES}/"))
                self.repaired.did("sidecar written from the state file")

    def _sidecar(self, entry: Entry, artifact: Artifact) -> dict[str, Any]:
        return sidecar(entry, artifact, simulated=bool(self._simulated), version=__version__)

    def _says(self, artifact: Artifact, values: dict[str, Any]) -> bool:
        try:
            with self._reader.reading(sidecar_of(artifact.file)) as data:
                return canonical_json(json.loads(bytes(data))) == canonical_json(values)
        except (Absent, Outside, NotAFile, OSError, ValueError, RecursionError):
            return False

    def _is_whole_now(self, finding: Finding) -> bool:
        """Whether the images that were not on record were on disk, and are on record by now."""
        if finding.kind is not Kind.INCOMPLETE or finding.entry is None:
            return False
        files = [artifacts for _, artifacts in self._files_of([finding.entry.id])]
        return all(artifacts and len(artifacts) == artifacts[0].output_count for artifacts in files)

    def _lose(self, findings: Sequence[Finding], ids: set[int]) -> list[Entry]:
        lost: list[Entry] = []
        for entry, artifacts in self._files_of(sorted(ids)):
            lost += self.state.must_commit([partial(self.state.lose, entry, artifacts)])
        for finding in findings:
            if finding.kind is not Kind.INCOMPLETE and finding.entry is not None:
                for file in (finding.file, sidecar_of(finding.file)):
                    self._kept_aside += [(finding.entry.id, file, now) for now in self._aside([file])]
        return lost

    def bring_back(self, ids: set[int]) -> None:
        """What was moved out of the way for a file that could not be had now: the job is as it was before. A copy of a
        damaged picture stays in lost+found, as the next run writes over it.
        """
        for number, file, now in self._kept_aside:
            place, kept = self.run_dir / file, self.run_dir / now
            if number not in ids or not kept.is_file() or place.exists():
                continue
            with disk(file):
                if file.endswith(".json"):
                    kept.rename(place)
                    self.repaired.did("file moved to lost+found", -1)
                else:
                    shutil.copy2(kept, place)

    def _files_of(self, ids: Iterable[int]) -> Iterable[auditing.Files]:
        return auditing.finished(self.state.connection, ids)

    def write_tables(self) -> None:
        """What other tools read, as the state file has it now."""
        if self._simulated is None:
            return
        records.write(self.state, simulated=self._simulated, progress=listener("none"))
        if any(finding.kind is Kind.RECORDS_DIFFER for finding in self.findings):
            self.repaired.did("records.jsonl written from the state file")

    def not_collected(self, collected: Collected) -> list[Finding]:
        fetched = [one for one in self.findings if _is_lost(one) or one.kind is Kind.UNFETCHED]
        kinds = {finding.entry.id: finding for finding in fetched if finding.entry is not None}
        left = []
        for entry, cause in collected.gone:
            left.append(gone(entry, kinds[entry.id].file, cause, self.price))
        for entry, why in collected.later:
            was = kinds[entry.id]
            message = f"could not be fetched now: {why}; the next run or repair tries again"
            left.append(of_job(was.kind, entry, was.file, message, price=self.price))
        return left


def _is_lost(finding: Finding) -> bool:
    return finding.kind in _LOST and finding.entry is not None and finding.source is None and not _is_sidecar(finding)


def _needs_sidecar(finding: Finding, kinds: set[Kind]) -> bool:
    return finding.kind in kinds or (finding.kind is Kind.OUTSIDE and _is_sidecar(finding))


def _is_sidecar(finding: Finding) -> bool:
    return finding.kind is not Kind.INCOMPLETE and finding.file.endswith(".json")
