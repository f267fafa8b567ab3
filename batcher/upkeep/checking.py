"""The check alone: changes nothing in the run directory, with its state file or without one."""

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
    """Raises UsageError for what neither is a run directory nor was one."""
    if not has_state(run_dir) and not (run_dir / IMAGES).is_dir() and not (run_dir / RECORD).is_file():
        raise UsageError(
            f"{run_dir} is not a run directory: it has neither {STATE} nor {IMAGES}/", hint="`batcher run` makes one."
        )


def check(run_dir: Path, *, depth: Depth, threads: int, progress: Progress | None) -> Survey:
    """Raises UsageError, DiskError. Without a state file, the check is against the one that a repair would make."""
    require(run_dir)
    if has_state(run_dir):
        with closing(connect_to_read(run_dir)) as connection:
            return look(run_dir, connection, depth=depth, threads=threads, progress=progress)
    with tempfile.TemporaryDirectory(prefix="batcher-") as folder:
        state = StateFile(Path(folder) / STATE, is_scratch=True)
        try:
            rebuilt = rebuild(run_dir, state)
            survey = look(run_dir, state.connection, depth=depth, threads=threads, progress=progress)
        finally:
            state.close()
    message = f"it can be rebuilt for {show_count(rebuilt.jobs, 'job')} from the sidecars"
    survey.findings.insert(0, Finding(kind=Kind.STATE_MISSING, file=STATE, message=message, fix=Fix.FREE))
    return survey
