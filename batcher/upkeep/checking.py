"""A check without a repair: it changes nothing in the run directory."""

import tempfile
from contextlib import closing
from pathlib import Path

from batcher.core.errors import UsageError
from batcher.core.units import show_count
from batcher.images.storage import RECORD
from batcher.runner.progress import Progress
from batcher.store import STATE, StateFile, connect_to_read, has_state
from batcher.store.files.safe_reader import IMAGES
from batcher.upkeep.findings import Finding, Fix, Kind
from batcher.upkeep.inspection import Depth
from batcher.upkeep.rebuild import rebuild
from batcher.upkeep.survey import Survey, look


def require(run_dir: Path) -> None:
    """Raises UsageError unless the path is a run directory, or one that lost its state file."""
    if not has_state(run_dir) and not (run_dir / IMAGES).is_dir() and not (run_dir / RECORD).is_file():
        raise UsageError(
            f"{run_dir} is not a run directory: it has neither {STATE} nor {IMAGES}/", hint="`batcher run` makes one."
        )


def check(run_dir: Path, *, depth: Depth, threads: int, progress: Progress | None) -> Survey:
    """What is wrong with a run directory. Without a state file, it is compared with the one that a repair would make.

    depth: how far each image is checked. threads: files read at once. progress: shows the number of jobs.
    Raises UsageError, DiskError.
    """
    require(run_dir)
    if has_state(run_dir):
        with closing(connect_to_read(run_dir)) as connection:
            return look(run_dir, connection, depth=depth, threads=threads, progress=progress)
    with (
        tempfile.TemporaryDirectory(prefix="batcher-") as folder,
        closing(StateFile(Path(folder) / STATE, is_scratch=True)) as state,
    ):
        rebuilt = rebuild(run_dir, state)
        survey = look(run_dir, state.connection, depth=depth, threads=threads, progress=progress)
    message = f"it can be rebuilt for {show_count(rebuilt.jobs, 'job')} from the sidecars"
    survey.findings.insert(0, Finding(kind=Kind.STATE_MISSING, file=STATE, message=message, fix=Fix.FREE))
    return survey
