"""A disk of its own that a test may take away: ext4 on a loop device, where root allows it."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
FLUSH_LOG, NO_FLUSH = 1, 2  # a power cut that leaves what was forced; and one that leaves not even the log in memory


class LostDisk:
    def __init__(self, folder: Path) -> None:
        self.image, self.place = folder / "disk.img", folder / "disk"

    def mount(self) -> bool:
        done = subprocess.run(
            ["mount", "-o", "loop", str(self.image), str(self.place)], capture_output=True, check=False
        )
        return done.returncode == 0

    def die(self, how: int = NO_FLUSH) -> None:
        """From here on every call on it fails, and what was not forced is gone, as with a cable pulled."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(handle)

    def come_back(self) -> None:
        subprocess.run(["umount", str(self.place)], check=True)
        assert self.mount()


@contextmanager
def lost_disk(folder: Path) -> Iterator[LostDisk]:
    """Skips the test where this can't be had."""
    disk = LostDisk(folder)
    if not (shutil.which("mkfs.ext4") and shutil.which("mount")):
        pytest.skip("there is no mkfs.ext4 here")
    with disk.image.open("wb") as image:
        image.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk.image)], check=True, capture_output=True)
    disk.place.mkdir()
    if not disk.mount():
        pytest.skip("this machine does not let the test mount a loop device")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk.place)], check=False)
