"""What lies in its place is not paid for: the picture and the sidecar of a job that the state file takes for pending.

That is so after a state file was lost, or an older copy of one was put back. A look costs two questions to the file
system for each job; only where a sidecar lies is anything read.
"""

import hashlib
import os
from pathlib import Path

from batcher.core.job import Artifact, Entry
from batcher.core.naming import numbered
from batcher.runner.sidecars import Untrue, as_known, read_card, siblings
from batcher.store.files.safe_reader import IMAGES, Absent, NotAFile, Outside, SafeReader

_SEVERAL = 2  # any number of files above one has this first name


class LyingThere:
    def __init__(self, run_dir: Path, *, simulated: bool) -> None:
        self._root = f"{run_dir}/{IMAGES}/"
        self._run_dir = run_dir
        self._simulated = simulated

    def is_possible(self, entry: Entry) -> bool:
        """Whether a sidecar lies where the job's would. Quick: no file is read."""
        root, path = self._root, entry.path
        one, first = f"{root}{path}.json", f"{root}{numbered(path, 0, _SEVERAL)}.json"
        return os.path.lexists(one) or os.path.lexists(first)

    def find(self, entry: Entry) -> tuple[Entry, list[Artifact]] | None:
        """The job with the attempt that its sidecars tell of, and its files, if all of them are here and whole.

        Reads the files, so call it in a thread.
        """
        ground = SafeReader(self._run_dir)
        for count in (1, _SEVERAL):
            try:
                card = read_card(ground, f"{IMAGES}/{numbered(entry.path, 0, count)}.json")
            except Untrue:
                continue
            cards = siblings(ground, card)
            files = [one.artifact for one in cards]
            if card.entry.job.key != entry.job.key or card.simulated is not self._simulated:
                continue
            if len(files) == card.artifact.output_count and all(_is_whole(ground, file) for file in files):
                return as_known(card, entry), files
        return None


def _is_whole(ground: SafeReader, artifact: Artifact) -> bool:
    try:
        with ground.reading(artifact.file) as data:
            return hashlib.sha256(data).hexdigest() == artifact.sha256
    except (Absent, NotAFile, Outside, OSError, ValueError):
        return False
