"""Exports to a bucket: the export is made in a folder of the run directory, then new and changed files are uploaded.

The folder is an ordinary export, so a second export to the same URL writes only what is new. ``sent.json`` beside its
marker lists what was uploaded. Objects that were not uploaded from this folder are never replaced or deleted.
"""

import json
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.export.marker_file import MARKER
from batcher.images import storage
from batcher.store.files.whole import write_whole

STAGING = "exports"  # below the run directory
_AT_ONCE = 32  # uploads

Facts = list[int | str]
_LAST = frozenset({".json", ".jsonl", ".md", ".csv"})  # tables: uploaded after the files that they name


def is_url(place: str) -> bool:
    """Whether the place of an export is a URL rather than a path."""
    return "://" in place


def staging(run_dir: Path, url: str) -> Path:
    """The folder in which the export to ``url`` is made. Raises UsageError if ``url`` is not that of a bucket."""
    url = storage.checked_url(url, "the place of an export")
    return run_dir / STAGING / blake2b(url.encode(), digest_size=8).hexdigest() / url.rpartition("/")[2]


@contextmanager
def named(folder: Path, place: str) -> Iterator[None]:
    """Within the block, a UsageError names ``place``, which the user gave, instead of ``folder``."""
    try:
        yield
    except UsageError as error:
        raise UsageError(error.message.replace(str(folder), place), hint=error.hint) from None


def send(folder: Path, url: str) -> dict[str, int]:
    """Make the objects below ``url`` equal to the export in ``folder``.

    Gives the number of objects ``uploaded``, ``unchanged`` and ``deleted``. Raises UsageError if there are objects that
    this folder did not upload, and DiskError.
    """
    list_file = folder / MARKER / "sent.json"
    sent, owner = _read(list_file)
    bucket = storage.bucket(folder, url)
    there = dict(bucket.objects())
    if not owner and there:
        raise UsageError(f"{url} is not empty: it has {min(there)}", hint="Nothing was sent. Give another prefix.")
    if not owner:
        owner = f"export-{secrets.token_hex(6)}"
        _write(list_file, sent, owner)
    bucket.probe()
    bucket.claim(owner)
    here = {name: _facts(folder / name) for name in _names(folder)}
    changed = [name for name, facts in here.items() if there.get(name) != facts[0] or sent.get(name) != facts]
    try:
        for group in (False, True):
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
                names = [name for name in changed if (Path(name).suffix in _LAST) is group]
                for name, _ in zip(names, pool.map(lambda one: bucket.send(one, folder / one), names), strict=True):
                    sent[name] = here[name]
        stale = [name for name in sent if name not in here]
        for name in stale:
            bucket.delete(name)
            del sent[name]
    finally:
        _write(list_file, sent, owner)
    return {"uploaded": len(changed), "unchanged": len(here) - len(changed), "deleted": len(stale)}


def _names(folder: Path) -> Iterator[str]:
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != MARKER)
        for name in sorted(files):
            if not name.endswith(".part"):
                yield Path(above, name).relative_to(folder).as_posix()


def _facts(path: Path) -> Facts:
    """Size and time of a file, to compare. Tables are written anew by every export: for them, size and digest."""
    facts = path.stat()
    if path.suffix not in _LAST:
        return [facts.st_size, facts.st_mtime_ns]
    with path.open("rb") as file:
        return [facts.st_size, file_digest(file, "sha256").hexdigest()]


def _read(list_file: Path) -> tuple[dict[str, Facts], str]:
    """What was uploaded, by name, and the owner's name; nothing and "" before the first upload."""
    try:
        record: dict[str, Any] = json.loads(list_file.read_bytes())
        return dict(record["sent"]), str(record["owner"])
    except FileNotFoundError:
        return {}, ""
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{list_file} can't be read", hint="Remove that folder and export to another prefix."
        ) from None


def _write(list_file: Path, sent: dict[str, Facts], owner: str) -> None:
    write_whole(list_file, [json.dumps({"owner": owner, "sent": sent})])
