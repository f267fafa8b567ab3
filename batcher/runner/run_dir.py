"""Prepares the run directory at the start of a run: lock, service, shard, free space, recorded facts."""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.client import embedded
from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.core.job import State, utc
from batcher.core.settings import Settings
from batcher.core.shard import Shard, shard_suffix
from batcher.core.units import show_bytes, show_count
from batcher.core.version import __version__
from batcher.images.storage import present, url_of
from batcher.runner.progress import Says
from batcher.runner.recovery.departures import JOURNAL, Recovered, recover
from batcher.runner.service import Service
from batcher.runner.stop import Reason
from batcher.store import LOCK, RunFacts, StateFile, auditing, has_state, locked, prepare, reading
from batcher.store.facts import Process
from batcher.store.files.safe_reader import IMAGES
from batcher.store.opening import GENERATION

if TYPE_CHECKING:  # start-up time
    from batcher.client.catalogue import Offer

FactsChange = Callable[[RunFacts], RunFacts]
TYPICAL_BYTES = 800_000  # size of a generated PNG of about a megapixel (DiffusionDB: 1.6 TB for 2 million)
LEAST_FREE = 50_000_000  # bytes: with less free space nothing is submitted


@contextmanager
def hold(run_dir: Path) -> Iterator[None]:
    """Create the run directory if needed, and lock it. Raises BusyError, UsageError, DiskError.

    If the block fails before there is a state file, a directory that was created here is removed.
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
    """Raises DiskError if a run could not even begin there: fewer than ``LEAST_FREE`` bytes are free."""
    free = shutil.disk_usage(run_dir).free
    if free < LEAST_FREE:
        raise DiskError(
            f"only {show_bytes(free)} are free at {run_dir}; a run needs {show_bytes(LEAST_FREE)} or more to start",
            hint="Nothing more was submitted. Free some space, then run the same command again.",
        )


def images_folder(run_dir: Path) -> None:
    """Raises DiskError if it can't hold images: a link to a missing disk, or a file in its place."""
    folder = run_dir / IMAGES
    if os.path.lexists(folder) and not folder.is_dir():
        what = f"a link to {folder.readlink()}, where no folder is" if folder.is_symlink() else "a file"
        raise DiskError(
            f"{folder} is {what}",
            hint="Nothing was submitted. Mount that disk, or remove what is in the way; then run the command again.",
        )


def _unmake(folders: Sequence[Path]) -> None:
    with suppress(OSError):  # a foreign file in it keeps it
        for name in (LOCK, embedded.JOURNAL, GENERATION, JOURNAL):
            (folders[0] / name).unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


def room_needed(state: StateFile, jobs: int) -> float:
    """Estimated bytes of the images to come, from the size of those on disk."""
    images, size, _ = reading.images(state.connection)
    left = max(0, jobs - reading.by_state(state.connection).get(State.DONE, 0))
    return left * (size / images if images else TYPICAL_BYTES)


def check_room(state: StateFile, jobs: int, progress: Says) -> None:
    """Check whether the images to come fit on the disk, before anything is submitted."""
    if url_of(state.path.parent) is not None:
        return  # the images go to a bucket
    needed = room_needed(state, jobs)
    free = shutil.disk_usage(state.path.parent).free
    if needed > free:
        progress.say(
            f"warning: the remaining images may need about {show_bytes(needed)}, and {show_bytes(free)} are free;"
            " when the disk is full the run stops and can be resumed"
        )


def begin(state: StateFile, change: FactsChange, settings: Settings, now: float, say: Says) -> None:
    """Update the state file at the start: facts, submits without an answer, losses of the disk. Raises DiskError.

    change: sets the facts of this start. now: Unix seconds.
    """

    def begun(facts: RunFacts) -> RunFacts:
        return replace(
            change(facts),
            batchers=tuple(sorted({__version__, *facts.batchers})),
            process=Process(pid=os.getpid(), host=socket.gethostname(), since=now),
            embed=tuple(sorted(settings.embed)),
            ended=None,
        )

    state.must_commit([partial(state.change_facts, begun)])
    say_recovered(recover(state, now), say)
    if state.facts.stopped_by == Reason.DISK.word:
        _collect_the_lost(state, say)
    if settings.in_doubt == "resubmit":
        doubtful = list(reading.entries(state.connection, [State.IN_DOUBT], listed_only=True))
        state.must_commit([partial(state.reopen, entry) for entry in doubtful])


def say_recovered(recovered: Recovered, say: Says) -> None:
    """Report what the journal of departures restored to the state file."""
    if recovered.pending:
        jobs = show_count(recovered.pending, "job is", "jobs are")
        say.say(f"{jobs} to submit again: batcher ended before the submit left, and nothing was charged")
    if recovered.lost and recovered.since is not None and recovered.until is not None:
        say.say(
            f"warning: the state file had lost {show_count(recovered.lost, 'submit')} made between"
            f" {utc(recovered.since)} and {utc(recovered.until)}: those with an id are collected, the others are in"
            " doubt"
        )


def with_price(facts: RunFacts, offer: "Offer", now: float) -> RunFacts:
    """The facts with a new price of the catalogue or of a person."""
    if not offer.fresh:
        return facts
    return replace(facts, price_usd=offer.price, price_at=None if offer.price is None else utc(now))


def gone_in_words(gone: int) -> str:
    """gone: jobs of earlier runs that are no longer in the manifest."""
    jobs = show_count(gone, "job of earlier runs is", "jobs of earlier runs are")
    return f"{jobs} not in this manifest: left alone, and left out of the counts and of records.jsonl"


def _collect_the_lost(state: StateFile, say: Says) -> None:
    """After a run that ended with a disk failure: fetch lost images again, free."""
    there = present(state.path.parent)
    lost = [
        partial(state.lose, entry, artifacts)
        for entry, artifacts in auditing.finished(state.connection)
        if not all(there(artifact.file) for artifact in artifacts)
    ]
    if lost:
        say.say(f"{show_count(len(lost), 'finished job')} lost files when the disk failed: collecting them again, free")
        state.must_commit(lost)


def same_service(state: StateFile, service: Service) -> None:
    """Refuse another service: request ids belong to one; simulated and real images must not mix. Raises UsageError."""
    facts = state.facts
    recorded, simulated = facts.service, facts.simulated
    if simulated is None:
        return
    if simulated != bool(service.api.simulated):
        kind = "simulated" if simulated else "real"
        raise UsageError(
            f"{state.path.parent} holds {kind} images; they are not mixed",
            hint="Choose another run directory with -o, or delete this one if you don't need it.",
        )
    if recorded is not None and recorded != service.name and not simulated:  # None: rebuilt from sidecars
        raise UsageError(
            f"{state.path.parent} belongs to {recorded}, and this run would go to {service.name}",
            hint="Its request ids mean nothing there. Choose another run directory with -o.",
        )


def same_shard(state: StateFile, shard: Shard | None) -> None:
    """Refuse another shard: a run directory keeps its part of the manifest, or jobs would be paid for twice.

    Raises UsageError.
    """
    facts = state.facts
    if facts.service is None:
        return
    recorded, asked = facts.shard, None if shard is None else str(shard)
    if recorded != asked:
        run_dir = state.path.parent
        what = f"shard {recorded} of its manifest" if recorded else "all of its manifest"
        raise UsageError(
            f"{run_dir} has {what}, and this run is of {f'shard {asked}' if asked else 'all of it'}",
            hint=f"Jobs would be paid for twice. {f'Add --shard {recorded}' if recorded else 'Leave --shard out'},"
            " or choose another run directory with -o.",
        )


def other_split(run_dir: Path, shard: Shard | None) -> str | None:
    """A warning if shards of another division are next to this one under their default names."""
    stem = "" if shard is None else run_dir.name.removesuffix(shard_suffix(shard))
    if shard is None or stem == run_dir.name:
        return None
    another = re.compile(rf"{re.escape(stem)}-\d+-of-(?!{shard.of}\Z)\d+")
    beside = sorted(path for path in run_dir.parent.glob("*-of-*") if another.fullmatch(path.name) and has_state(path))
    return f"{beside[0]} is of another number of shards: jobs of both are paid for twice" if beside else None
