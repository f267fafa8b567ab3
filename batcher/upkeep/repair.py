"""Fixes a run directory as far as that is free.

The order makes every step safe to be killed after. First, right bytes in the wrong place are put back. Then what is in
the way goes to ``lost+found``, missing facts are recorded in the state file, and sidecars are written from it. Last,
lost images are fetched again. A lost job changes its state before its damaged file is moved, so a repair that ended
half way is finished by the next repair or the next run.
"""

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from msgspec import structs

from batcher.core.batched import batched
from batcher.core.errors import Damaged, FileRefused, FileUnavailable
from batcher.core.job import Artifact, Entry, canonical_json
from batcher.core.sidecar import sidecar
from batcher.core.version import __version__
from batcher.images.check import examine
from batcher.images.storage import place_of, reader_of, url_of
from batcher.runner import records
from batcher.runner.collecting import Collected, collect
from batcher.runner.lost_and_found import move_to_lost_and_found
from batcher.runner.progress import Progress, listener
from batcher.runner.service import Options
from batcher.store import STATE, StateFile, auditing, connect_to_read, has_state, locked
from batcher.store.files.disk import disk
from batcher.store.files.place import Shelf
from batcher.store.files.safe_reader import IMAGES, Absent, NotAFile, Outside, sidecar_of, stem
from batcher.store.files.whole import force
from batcher.store.files.whole import put_in_place as land
from batcher.upkeep.findings import Finding, Fix, Kind, of_job
from batcher.upkeep.inspection import LIMITS, Depth, recorded_as
from batcher.upkeep.rebuild import JOBS_PER_COMMIT, Rebuilt, put_in_place, take_in
from batcher.upkeep.survey import Survey, compare

MOST_ROUNDS = 2  # images that the first one takes into the state file may turn out to be damaged
_SIDECAR = frozenset({Kind.SIDECAR_MISSING, Kind.SIDECAR_UNREADABLE, Kind.SIDECAR_DIFFERS})
_LOST = frozenset({Kind.MISSING, Kind.TRUNCATED, Kind.CHANGED, Kind.OUTSIDE, Kind.INCOMPLETE})


@dataclass(slots=True)
class Repaired:
    """What a repair did.

    before: the check before it. left: findings that remain. how: what was done, and how many times; each is named in
    the singular, with the noun first (``job fetched again, free``). rebuilt: None if there was a state file.
    """

    before: Survey
    left: list[Finding] = field(default_factory=list)
    how: Counter[str] = field(default_factory=Counter)
    rebuilt: Rebuilt | None = None


async def repair(run_dir: Path, options: Options, *, depth: Depth, threads: int, progress: Progress | None) -> Repaired:
    """Checks a run directory, fixes what can be had free, and checks again.

    options: of the service. depth: how far each image is checked. threads: files read at once. progress: shows the
    number of jobs. Raises BusyError, UsageError, DiskError.
    """
    with ExitStack() as held:
        held.enter_context(locked(run_dir))
        damaged = _move_damaged_state(run_dir)
        rebuilt = None if has_state(run_dir) else put_in_place(run_dir)
        state = held.enter_context(closing(StateFile(run_dir / STATE)))
        compare_again = partial(compare, run_dir, state.connection, depth=depth, threads=threads, alone=True)
        before = compare_again(progress=progress)
        repaired = Repaired(before, before.findings, rebuilt=rebuilt)
        if rebuilt is not None:
            kind = Kind.STATE_DAMAGED if damaged else Kind.STATE_MISSING
            before.findings.insert(0, Finding(kind=kind, file=STATE, message="rebuilt", fix=Fix.FREE))
            repaired.how["state file rebuilt from the sidecars"] += 1
        not_fetched: list[Finding] = []
        for _ in range(MOST_ROUNDS):
            if not any(finding.fix is Fix.FREE for finding in repaired.left):
                break
            repairer = _Repairer(run_dir, state, repaired)
            collected = await collect(state, repairer.fix_on_disk(), options, depth)
            repairer.count("job fetched again, free", len(collected.saved))
            repairer.bring_back({entry.id for entry, _ in collected.later})
            repairer.write_tables()
            not_fetched += repairer.not_collected(collected)
            jobs = {finding.job for finding in not_fetched}
            after = compare_again(only=repairer.touched).findings
            repaired.left = [one for one in after if one.kind is not Kind.UNFETCHED or one.job not in jobs]
        repaired.left += not_fetched
        return repaired


def _move_damaged_state(run_dir: Path) -> bool:
    """Whether SQLite can't read the state file, which then is in ``lost+found``. One without bytes stays."""
    if not os.path.lexists(run_dir / STATE) or ((run_dir / STATE).is_file() and not has_state(run_dir)):
        return False
    try:
        with closing(connect_to_read(run_dir)) as connection:
            is_damaged = auditing.damage(connection) is not None
    except (sqlite3.DatabaseError, Damaged):
        is_damaged = True
    for suffix in ("", "-wal", "-shm") if is_damaged else ():
        move_to_lost_and_found(run_dir, STATE + suffix)
    return is_damaged


class _Repairer:
    """One round of a repair.

    run_dir: the run directory, whose lock is held. state: its state file. repaired: has the findings to fix, and counts
    what was done.

    touched: row numbers of the jobs whose files have to be checked again.
    """

    def __init__(self, run_dir: Path, state: StateFile, repaired: Repaired) -> None:
        self._run_dir = run_dir
        self._state = state
        self._how = repaired.how
        in_bucket = url_of(run_dir) is not None  # there, fetching an image again is cheaper than moving it
        self._findings = [replace(one, source=None) for one in repaired.left] if in_bucket else repaired.left
        self.touched = {finding.entry.id for finding in self._findings if finding.entry is not None}
        self._price = state.facts.price_usd
        self._place = place_of(run_dir)
        self._reader = reader_of(run_dir)
        self._simulated = state.facts.simulated
        self._moved: list[tuple[int, str, str]] = []  # of lost jobs: row number, a file, and where it is now

    def __repr__(self) -> str:
        return f"<_Repairer of {self._run_dir}: findings: {len(self._findings)}>"

    def count(self, what: str, number: int = 1) -> None:
        """Adds to what was done; nothing for 0."""
        if number:
            self._how[what] += number

    def fix_on_disk(self) -> list[Entry]:
        """All that needs no network. Gives the jobs whose files have to be fetched, which are READY or RUNNING now."""
        self._state.must_commit([self._state.outdate_tables])
        self._to_lost_and_found(finding.file for finding in self._of_kind(Kind.OUTSIDE) if not finding.entry)
        self._reader = reader_of(self._run_dir)  # without the folders that those links led to
        self._put_back([finding for finding in self._findings if finding.source is not None])
        self._to_lost_and_found(finding.file for finding in self._of_kind(Kind.ORPHAN, Kind.LEFTOVER))
        self._take_in(self._of_kind(Kind.UNRECORDED))
        self._correct(self._of_kind(Kind.FACTS_DIFFER))
        lost = [finding for finding in self._findings if _is_lost(finding) and not self._is_whole_now(finding)]
        lost_ids = {finding.entry.id for finding in lost if finding.entry is not None}
        self._write_sidecars(self._with_doubtful_sidecars() - lost_ids)
        unfetched = [finding.entry for finding in self._of_kind(Kind.UNFETCHED) if finding.entry is not None]
        return [*self._lose(lost, lost_ids), *unfetched]

    def _of_kind(self, *kinds: Kind) -> list[Finding]:
        return [finding for finding in self._findings if finding.kind in kinds]

    def _to_lost_and_found(self, files: Iterable[str]) -> list[str]:
        """Moves files to ``lost+found``. Gives the new names of those that were there."""
        moved = []
        for file in files:
            try:
                self._reader.path(file)
            except Outside:
                continue  # a name in a tampered state file must not make us move a file outside
            if (now := move_to_lost_and_found(self._run_dir, file)) is not None:
                moved.append(now)
        self.count("file moved to lost+found", len(moved))
        return moved

    def _put_back(self, misplaced: Sequence[Finding]) -> None:
        """Copies every image beside its place first: images may have changed places in a circle."""
        sources = {finding.source for finding in misplaced}
        staged = []
        for finding in misplaced:
            assert finding.source is not None
            temp = self._temp(finding.file)
            with disk(finding.file):
                if self._run_dir / finding.source != temp:
                    shutil.copyfile(self._run_dir / finding.source, temp, follow_symlinks=True)
            staged.append((finding, temp))
        for finding, temp in staged:
            if finding.file not in sources:
                self._to_lost_and_found([finding.file])
            with disk(finding.file):
                force(temp)
                land(temp, self._run_dir / finding.file)
        self.count("image put back in its place", len(staged))

    def _temp(self, file: str) -> Path:
        name = file.removeprefix(f"{IMAGES}/")
        digits = blake2b(f"home {file}".encode(errors="surrogatepass"), digest_size=8).hexdigest()
        return Shelf(self._run_dir).locate(name).with_name(f".{digits}.part")

    def _take_in(self, unrecorded: Sequence[Finding]) -> None:
        for group in batched(unrecorded, JOBS_PER_COMMIT):
            moves = [partial(take_in, self._state, finding.sidecars, listed=False) for finding in group]
            self._state.must_commit(moves)
        self.count("job taken into the state file", len(unrecorded))
        self.touched |= self._ids_of(unrecorded)

    def _ids_of(self, findings: Iterable[Finding]) -> set[int]:
        """Row numbers of their jobs, by the keys."""
        entries = (auditing.by_key(self._state.connection, finding.job or "") for finding in findings)
        return {entry.id for entry in entries if entry is not None}

    def _correct(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            for entry, artifacts in self._files_of([finding.entry.id] if finding.entry else []):
                actual = [self._as_it_is(artifact) for artifact in artifacts if artifact.file == finding.file]
                self._state.must_commit([partial(self._state.redescribe, entry, [one for one in actual if one])])
                self.count("fact corrected in the state file")

    def _as_it_is(self, artifact: Artifact) -> Artifact | None:
        """The record of a file with the facts of its present content; None if it can't be read."""
        try:
            with self._reader.reading(artifact.file) as data:
                facts = examine(data, depth="structure", limits=LIMITS, announced=recorded_as(artifact))
        except (Absent, Outside, NotAFile, OSError, FileUnavailable, FileRefused):
            return None
        width, height = facts.size or (None, None)
        return structs.replace(
            artifact, bytes=facts.bytes, sha256=facts.sha256, mime=facts.kind.mime, width=width, height=height
        )

    def _with_doubtful_sidecars(self) -> set[int]:
        """Jobs with a finding about a sidecar, and those whose record was corrected or that were taken in."""
        corrected = [one for one in self._findings if one.kind is Kind.FACTS_DIFFER or _is_about_sidecar(one)]
        ids = {finding.entry.id for finding in corrected if finding.entry is not None}
        return ids | self._ids_of(self._of_kind(Kind.UNRECORDED))

    def _write_sidecars(self, ids: set[int]) -> None:
        for entry, artifacts in self._files_of(sorted(ids)):
            for artifact in artifacts:
                values = sidecar(entry, artifact, simulated=bool(self._simulated), version=__version__)
                if not self._says(artifact, values):
                    self._to_lost_and_found([sidecar_of(artifact.file)])
                    self._place.put_sidecar(stem(artifact.file).removeprefix(f"{IMAGES}/"), values)
                    self.count("sidecar written from the state file")

    def _says(self, artifact: Artifact, values: dict[str, Any]) -> bool:
        """Whether the sidecar on disk has these values."""
        try:
            with self._reader.reading(sidecar_of(artifact.file)) as data:
                return canonical_json(json.loads(bytes(data))) == canonical_json(values)
        except (Absent, Outside, NotAFile, OSError, ValueError, RecursionError):
            return False

    def _is_whole_now(self, finding: Finding) -> bool:
        """Whether images that were not on record were on disk, and so are on record by now."""
        if finding.kind is not Kind.INCOMPLETE or finding.entry is None:
            return False
        files = [artifacts for _, artifacts in self._files_of([finding.entry.id])]
        return all(artifacts and len(artifacts) == artifacts[0].output_count for artifacts in files)

    def _lose(self, lost: Sequence[Finding], ids: set[int]) -> list[Entry]:
        """Moves the jobs to READY or RUNNING, then their damaged files out of the way.

        A sidecar that is right stays where it is: the download writes it again.
        """
        entries: list[Entry] = []
        for entry, artifacts in self._files_of(sorted(ids)):
            entries += self._state.must_commit([partial(self._state.lose, entry, artifacts)])
        damaged = [finding for finding in lost if finding.kind is not Kind.INCOMPLETE]
        for finding in [*damaged, *filter(_is_about_sidecar, self._findings)]:
            if finding.entry is not None and finding.entry.id in ids:
                moved = self._to_lost_and_found([finding.file])
                self._moved += [(finding.entry.id, finding.file, now) for now in moved]
        return entries

    def bring_back(self, ids: set[int]) -> None:
        """Copies files back for jobs that could not be fetched now: their directory is as before. The next download
        writes over the copies, so the files stay in ``lost+found``.
        """
        for number, file, now in self._moved:
            place, moved = self._run_dir / file, self._run_dir / now
            if number in ids and moved.is_file() and not place.exists():
                with disk(file):
                    shutil.copy2(moved, place)

    def _files_of(self, ids: Iterable[int]) -> Iterator[auditing.Files]:
        return auditing.finished(self._state.connection, ids)

    def write_tables(self) -> None:
        """Writes ``records.jsonl`` and ``failures.jsonl`` from the state file."""
        if self._simulated is None:
            return
        records.write(self._state, simulated=self._simulated, progress=listener("none"))
        self.count("records.jsonl written from the state file", bool(self._of_kind(Kind.RECORDS_DIFFER)))

    def not_collected(self, collected: Collected) -> list[Finding]:
        """Findings about the jobs whose files could not be fetched."""
        fetched = [one for one in self._findings if _is_lost(one) or one.kind is Kind.UNFETCHED]
        by_id = {finding.entry.id: finding for finding in fetched if finding.entry is not None}
        left = []
        for entry, cause in collected.gone:
            left.append(of_job(Kind.GONE, entry, by_id[entry.id].file, str(cause), Fix.PAID, price=self._price))
        for entry, why in collected.later:
            before = by_id[entry.id]
            message = f"could not be fetched now: {why}; the next run or repair tries again"
            left.append(of_job(before.kind, entry, before.file, message, price=self._price))
        return left


def _is_lost(finding: Finding) -> bool:
    """Whether images have to be fetched: the right bytes are nowhere on disk."""
    is_image = finding.kind is Kind.INCOMPLETE or not finding.file.endswith(".json")
    return finding.kind in _LOST and finding.entry is not None and finding.source is None and is_image


def _is_about_sidecar(finding: Finding) -> bool:
    return finding.kind in _SIDECAR or (finding.kind is Kind.OUTSIDE and finding.file.endswith(".json"))
