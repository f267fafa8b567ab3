"""The run directory at the start of a run: ours alone, of this service, with room, and told what the manifest holds."""

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batcher.client import embedded
from batcher.core.errors import BatcherError, Cause, DiskError, UsageError
from batcher.core.job import Entry, State, utc
from batcher.core.settings import Settings
from batcher.core.units import show_bytes
from batcher.core.version import __version__
from batcher.manifest import Manifest
from batcher.runner import pruned
from batcher.runner import records as tables
from batcher.runner.progress import Progress, counted, counting
from batcher.runner.service import SIMULATOR, Service
from batcher.runner.stop import Reason
from batcher.store import LOCK, StateFile, auditing, has_state, locked, prepare, reading

if TYPE_CHECKING:  # start-up time
    from batcher.client.catalogue import Offer

TYPICAL_BYTES = 800_000  # of a generated PNG of about a megapixel (DiffusionDB: 1.6 TB for 2 million)
LEAST_FREE = 50_000_000  # bytes: with less than this nothing is paid for


@contextmanager
def hold(run_dir: Path) -> Iterator[None]:
    """The run directory, ours alone, made if it isn't there. Raises BusyError, UsageError, DiskError.

    Whoever fails before there is a state file in it leaves no directory behind that wasn't there before.
    """
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    prepare(run_dir)
    try:
        with locked(run_dir):
            yield
    except BatcherError:
        if made and not has_state(run_dir):
            _unmake(made)
        raise


def some_room(run_dir: Path) -> None:
    free = shutil.disk_usage(run_dir).free
    if free < LEAST_FREE:
        raise DiskError(
            f"only {show_bytes(free)} are free at {run_dir}; a run starts with {show_bytes(LEAST_FREE)} or more",
            hint="Nothing more was submitted. Make room, then run the same command again.",
        )


def _unmake(folders: Sequence[Path]) -> None:
    with suppress(OSError):  # somebody else's file in it is a reason to leave it
        for name in (LOCK, embedded.JOURNAL):
            (folders[0] / name).unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


def remembered_price(connection: sqlite3.Connection | None) -> float | None:
    """What one image cost when the catalogue could last be asked; None when it never could."""
    price = None if connection is None else reading.meta(connection, "price_usd")
    return float(price) if isinstance(price, (int, float)) else None


def room_needed(state: StateFile, manifest: Manifest) -> float:
    """Bytes that what is still to come is likely to take, by what is there already."""
    images, size, _ = reading.pictures(state.connection)
    left = max(0, manifest.total - reading.by_state(state.connection).get(State.DONE, 0))
    return left * (size / images if images else TYPICAL_BYTES)


def check_room(state: StateFile, manifest: Manifest, progress: Progress) -> None:
    """Whether what is still to come will fit on the disk: better known now than at three in the morning."""
    needed = room_needed(state, manifest)
    free = shutil.disk_usage(state.path.parent).free
    if needed > free:
        progress.say(
            f"warning: the images to come may need about {show_bytes(needed)}, and {show_bytes(free)} are free;"
            " when the disk is full the run stops and can be resumed"
        )


def greet(
    state: StateFile,
    service: Service,
    manifest: Manifest,
    offer: "Offer",
    settings: Settings,
    command: str,
    say: Progress,
) -> None:
    """Makes the state file fit this start: whose it is, what the manifest holds now, what was in the air."""
    _same_service(state, service)
    facts: dict[str, Any] = {
        "service": service.name,
        "base_url": None if service.name == SIMULATOR else service.api.base_url,
        "simulated": bool(service.api.simulated),
        "batchers": sorted({__version__, *reading.meta(state.connection, "batchers", [])}),
        "manifest": manifest.source,
        "model": manifest.model,
        "total": manifest.whole,
        "process": {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()},
        "command": command,
        "check": manifest.memory.as_json(),
        "embed": sorted(settings.embed),
        **tables.STALE,
    }
    if offer.fresh:
        facts |= {"price_usd": offer.price, "price_at": None if offer.price is None else utc(time.time())}
    changes: list[Callable[[], object]] | None = []
    if reading.meta(state.connection, "fingerprint") != manifest.fingerprint:
        changes = _relisted(state, manifest, say)
        # The listed jobs are those of one manifest, or, after a part of another one, of nobody knows which.
        facts["fingerprint"] = manifest.fingerprint if changes is not None else None
    cause = Cause(kind="interrupted", message="batcher ended while this submit was in the air")
    doubts = [partial(state.doubt, entry, cause) for entry in reading.entries(state.connection, [State.SUBMITTING])]
    state.must_commit([partial(state.set_meta, **facts), *(changes or []), *doubts])
    if reading.meta(state.connection, "stopped_by") == Reason.DISK.word:
        _collect_the_lost(state, say)
    if settings.in_doubt == "resubmit":
        doubtful = list(reading.entries(state.connection, [State.IN_DOUBT], listed_only=True))
        state.must_commit([partial(state.reopen, entry) for entry in doubtful])


def _relisted(state: StateFile, manifest: Manifest, say: Progress) -> list[Callable[[], object]] | None:
    """What makes the listed jobs those of this manifest; None where ``--limit`` leaves some of them unseen."""
    if reading.is_empty(state.connection):
        return []
    limited = manifest.total < manifest.whole
    if limited and not pruned.is_there(state.path.parent):
        return None
    tell = counting(say, "comparing the manifest with earlier runs: {:,} jobs so far")
    difference = reading.compare(state.connection, counted(manifest.jobs(), tell))
    if back := pruned.bring_back(state.path.parent, state.connection, difference.back):
        say.say(f"{back:,} jobs came back to the manifest, and their files from {pruned.PRUNED}/, free")
    if limited:
        return None
    if difference.gone:
        are = "job of earlier runs is" if len(difference.gone) == 1 else "jobs of earlier runs are"
        say.say(
            f"{len(difference.gone):,} {are} not in this manifest: left alone, and left out of"
            " the counts and of records.jsonl"
        )
    return [partial(state.unlist, difference.gone), partial(state.relist, difference.back)]


def _collect_the_lost(state: StateFile, say: Progress) -> None:
    """The disk failed the last run: what it took with it was paid for, and is collected again, free."""
    run_dir = state.path.parent
    pruned.bring_back(run_dir, state.connection, None)
    aside = frozenset(auditing.removed(state.connection)) if pruned.is_there(run_dir) else frozenset()

    def is_here(entry: Entry, file: str) -> bool:
        return (run_dir / file).is_file() or (entry.id in aside and (run_dir / pruned.place_of(file)).is_file())

    lost = [
        partial(state.lose, entry, [artifact.url for artifact in artifacts])
        for entry, artifacts in auditing.finished(state.connection)
        if not all(is_here(entry, artifact.file) for artifact in artifacts)
    ]
    if lost:
        say.say(f"{len(lost):,} finished jobs lost their files when the disk failed: collecting them again, free")
        state.must_commit(lost)


def _same_service(state: StateFile, service: Service) -> None:
    """Request ids belong to one service, and simulated images must never pass for real ones."""
    known, simulated = reading.meta(state.connection, "service"), reading.meta(state.connection, "simulated")
    if simulated is None:
        return
    if bool(simulated) != bool(service.api.simulated):
        kind = "simulated" if simulated else "real"
        raise UsageError(
            f"{state.path.parent} holds {kind} images; they are not mixed",
            hint="Choose another run directory with -o, or delete this one if you don't need it.",
        )
    if known is not None and known != service.name and not simulated:  # None: rebuilt from sidecars
        raise UsageError(
            f"{state.path.parent} belongs to {known}, and this run would go to {service.name}",
            hint="Its request ids mean nothing there. Choose another run directory with -o.",
        )
