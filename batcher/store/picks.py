"""``picks.jsonl``: verdicts that a person or a script gave on the images of a run.

A line is one whole verdict and replaces the earlier ones on its image: the last line of an image counts, and an undo
is a line too. Lines are only appended, and forced to the disk; two programs may append at the same time. To merge the
files of two people, concatenate them. A line that can't be read (a power cut may leave half of one at the end) is
skipped and counted.
"""

import getpass
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from batcher.core.job import utc
from batcher.store.files.disk import disk, force_folder, open_own, ordinary
from batcher.store.files.whole import write_all

PICKS = "picks.jsonl"
YES, NO = "yes", "no"
MOST_STARS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict on one image.

    job: key of its job. output_index: of the image in that job, from 0.
    pick: ``yes``, ``no``, or None if undecided.
    stars: 0 to 5, or None.
    tags: in the order given.
    note: one line, None for none.
    sha256: of the image that the person looked at, or None if unknown; then the verdict is never stale.
    at: ISO 8601, UTC. by: user name.
    undo: whether it restores the verdict before an earlier line.
    """

    job: str
    output_index: int = 0
    pick: str | None = None
    stars: int | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None
    sha256: str | None = None
    at: str = ""
    by: str = ""
    undo: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it only removes the verdict before it."""
        return self.pick is None and self.stars is None and not self.tags and not self.note

    @property
    def given(self) -> dict[str, Any]:
        """``pick``, ``stars`` and ``tags`` without the absent ones: what filters, columns and records show."""
        values = {"pick": self.pick, "stars": self.stars, "tags": list(self.tags) or None}
        return {name: value for name, value in values.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at, "by": self.by, "job": self.job, "output_index": self.output_index, "pick": self.pick,
            "stars": self.stars, "tags": list(self.tags), "note": self.note, "sha256": self.sha256,
            **({"undo": True} if self.undo else {}),
        }  # fmt: skip


@dataclass(slots=True)
class Picks:
    """verdicts: the last one on each image, by job key and output index. unreadable: number of lines skipped."""

    verdicts: dict[tuple[str, int], Verdict] = field(default_factory=dict)
    unreadable: int = 0

    def take(self, lines: Iterable[bytes]) -> None:
        """Add lines of the file that follow those already taken."""
        for line in lines:
            if not line.strip():
                continue
            verdict = parsed(line)
            if verdict is None:
                self.unreadable += 1
            else:
                self.verdicts[_image(verdict)] = verdict

    def of(self, job: str, output_index: int, sha256: str) -> Verdict | None:
        """The verdict on an image. None if there is none, or the image has changed since."""
        verdict = self.verdicts.get((job, output_index))
        return None if verdict is None or is_stale(verdict, sha256) else verdict

    def __len__(self) -> int:
        return len(self.verdicts)


def is_stale(verdict: Verdict, sha256: str) -> bool:
    """Whether the image has changed since the verdict. sha256: of the image now."""
    return verdict.sha256 is not None and verdict.sha256 != sha256


def read(run_dir: Path) -> Picks:
    """The verdicts of a run; empty if there is no file. Raises DiskError."""
    picks = Picks()
    with disk(PICKS):
        try:
            with open(run_dir / PICKS, "rb", opener=ordinary) as lines:
                picks.take(lines)
        except FileNotFoundError:
            pass
    return picks


def append(run_dir: Path, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Append verdicts and force them to the disk. Returns them with ``at`` and ``by`` filled in.

    Raises DiskError. A full disk may leave half a line; the next call ends it.
    """
    at, by = utc(time.time()) or "", whoami()
    stamped = [replace(verdict, at=verdict.at or at, by=verdict.by or by) for verdict in verdicts]
    if not stamped:
        return []
    text = "".join(f"{json.dumps(verdict.as_json(), ensure_ascii=False)}\n" for verdict in stamped)
    content = text.encode(errors="backslashreplace")
    path = run_dir / PICKS
    is_new = not path.exists()
    with disk(PICKS, len(content)):
        handle = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            if _ends_in_half_a_line(handle):
                content = b"\n" + content
            write_all(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            force_folder(run_dir)
    return stamped


def whoami() -> str:
    """The user name, or "" if the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in this container
        return ""


def parsed(line: bytes) -> Verdict | None:
    """A line of the file as a verdict; None if it is not one."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return verdict_of(data) if isinstance(data, dict) else None


def verdict_of(data: Mapping[str, Any]) -> Verdict | None:
    """The inverse of ``Verdict.as_json``; all keys but ``job`` are optional. None if the data is not a verdict."""
    job, index, pick, stars = data.get("job"), data.get("output_index", 0), data.get("pick"), data.get("stars")
    tags, note, sha256 = data.get("tags") or [], data.get("note"), data.get("sha256")
    is_valid = (
        isinstance(job, str)
        and type(index) is int
        and index >= 0
        and (pick is None or (isinstance(pick, str) and pick in {YES, NO}))
        and (stars is None or (type(stars) is int and 0 <= stars <= MOST_STARS))
        and isinstance(tags, list)
        and all(isinstance(tag, str) for tag in tags)
        and all(value is None or isinstance(value, str) for value in (note, sha256))
    )
    if not is_valid:
        return None
    return Verdict(
        job=str(job).lower(), output_index=index, pick=pick, stars=stars, tags=tuple(dict.fromkeys(tags)), note=note,
        sha256=sha256, at=_text(data.get("at")), by=_text(data.get("by")), undo=data.get("undo") is True,
    )  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _ends_in_half_a_line(handle: int) -> bool:
    size = os.fstat(handle).st_size
    if not size:
        return False
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1) != b"\n"


def steps(verdicts: Iterable[Verdict], by: str) -> list[list[Verdict]]:
    """What each undo of a person would restore, the newest step last.

    verdicts: all lines of the file, in order. by: the person. A step is what one call of ``append`` wrote; its value is
    the list of verdicts that stood before it. An undo removes the last step.
    """
    now: dict[tuple[str, int], Verdict] = {}
    done: list[list[Verdict]] = []
    for (_, who, is_undo), lines in groupby(verdicts, key=lambda verdict: (verdict.at, verdict.by, verdict.undo)):
        some = list(lines)
        before = [now.get(_image(one), Verdict(job=one.job, output_index=one.output_index)) for one in some]
        now |= {_image(one): one for one in some}
        if who != by:
            continue
        if not is_undo:
            done.append(before)
        elif done:
            done.pop()
    return done


def _image(verdict: Verdict) -> tuple[str, int]:
    return verdict.job, verdict.output_index
