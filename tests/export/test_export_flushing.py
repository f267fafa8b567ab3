"""Large files are forced to the disk while they are written: what goes wrong there is not lost."""

import errno
import os
import threading
from pathlib import Path
from unittest.mock import patch

import pytest

from batcher.core.errors import DiskError
from batcher.export import flushing
from batcher.export.folder import opened


def test_a_disk_that_fails_meanwhile_is_told_and_leaves_no_shard(tmp_path: Path) -> None:
    failed = threading.Event()

    def full(handle: int) -> None:
        failed.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(tmp_path / "out", copy=False) as folder:
        folder.claim({})
        with patch.object(flushing, "EVERY", 0.001), patch.object(flushing, "_force", full):
            growing = folder.growing("train/000000.tar")
            growing.__enter__().write(b"a shard")
            assert failed.wait(30)
            with pytest.raises(DiskError, match=r"000000\.tar: No space left"):
                growing.__exit__(None, None, None)
    assert list((tmp_path / "out" / "train").iterdir()) == []


def test_what_is_written_so_far_is_forced_before_the_end(tmp_path: Path) -> None:
    forced = threading.Event()
    with (
        (tmp_path / "file").open("wb") as file,
        patch.object(flushing, "EVERY", 0.001),
        patch.object(flushing, "_force", lambda _: forced.set()),
        flushing.flushing(file.fileno()),
    ):
        assert forced.wait(30)
    assert all(thread.name != "flushing" for thread in threading.enumerate())
