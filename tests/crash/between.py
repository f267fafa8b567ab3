"""What may happen to a run directory while no batcher works in it: people, backups and disks."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random

STATE = "state.db"


class Place:
    """A run directory on its way through accidents; run: where it is now."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder, self.random = folder, random
        self.run = folder / "run"
        self.backup = folder / "backup.db"
        self.count = 0

    def fresh(self, name: str) -> Path:
        self.count += 1
        return self.folder / f"{name}-{self.count}"


def copy(place: Place) -> None:
    """The directory is copied and the copy goes on; the original is never run again."""
    to = place.fresh("copy")
    shutil.copytree(place.run, to)
    place.run = to


def back_up(place: Place) -> None:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(place.run / STATE)) as live,
        closing(sqlite3.connect(place.backup)) as kept,
    ):
        live.backup(kept)


def restore(place: Place) -> None:
    """An older state file is put back."""
    if place.backup.exists():
        drop_journal(place)
        shutil.copy(place.backup, place.run / STATE)


def drop_journal(place: Place) -> None:
    """A file sync that knows ``state.db`` alone."""
    for suffix in ("-wal", "-shm"):
        (place.run / f"{STATE}{suffix}").unlink(missing_ok=True)


def truncate(place: Place) -> None:
    drop_journal(place)
    if (place.run / STATE).exists():
        (place.run / STATE).write_bytes(b"")


def delete_sidecar(place: Place) -> None:
    cards = sorted((place.run / "images").rglob("*.json"))
    if cards:
        place.random.choice(cards).unlink()


def rename(place: Place) -> None:
    place.run = place.run.rename(place.fresh("renamed"))


def edit_manifest(place: Place) -> None:
    """A line goes, a line is added, and the order is another."""
    path = place.folder / "jobs.txt"
    lines = path.read_text().splitlines()
    del lines[place.random.randrange(len(lines))]
    lines.append(f"{lines[0].rpartition(' kite ')[0]} kite new-{place.fresh('line').name}")
    place.random.shuffle(lines)
    path.write_text("\n".join(lines) + "\n")


ACTS: dict[str, Callable[[Place], None]] = {
    act.__name__: act for act in (copy, back_up, restore, drop_journal, truncate, delete_sidecar, rename, edit_manifest)
}
