"""Checks a new worker: it must see the folder or bucket of the images, have room, and have the same versions.

The worker and the coordinator see the same place if each can read a file that the other wrote.
"""

import asyncio
import platform
import secrets
import socket
import tempfile
from pathlib import Path

from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.core.one_line import one_line
from batcher.core.version import __version__
from batcher.images.storage import bucket
from batcher.runner.engines.messages import Crew, Greeting, Setup, packed, unpacked
from batcher.store.files.disk import discard, disk

_PREFIX = ".batcher-probe-"


class Meeting:
    """Two files in the run directory, or in its bucket. Methods block, and raise DiskError.

    run_dir: of the run. url: of the bucket, None without one. nonce: text of the coordinator's file; None: a new one.
    """

    def __init__(self, run_dir: str, url: str | None, nonce: str | None = None) -> None:
        self.nonce = nonce or secrets.token_hex(8)
        self._run_dir = Path(run_dir)
        self._bucket = None if url is None else bucket(self._run_dir, url)
        self._name = f"{_PREFIX}{self.nonce}"

    def begin(self) -> None:
        self._write(self._name, self.nonce)

    def answer(self, identity: str) -> None:
        """Write the worker's file. Raises UsageError if the coordinator's file can't be read."""
        if self._read(self._name) != self.nonce:
            raise UsageError("it is not the folder that the run writes to")
        self._write(f"{self._name}-{identity}", identity)

    def was_answered(self, identity: str) -> bool:
        return self._read(f"{self._name}-{identity}") == identity

    def end(self, identities: list[str]) -> None:
        for name in (self._name, *(f"{self._name}-{identity}" for identity in identities)):
            if self._bucket is not None:
                self._bucket.delete(name)
            else:
                discard(self._run_dir / name)

    def _write(self, name: str, text: str) -> None:
        if self._bucket is None:
            with disk(name):
                (self._run_dir / name).write_text(text)
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            self._bucket.send(name, Path(file.name))

    def _read(self, name: str) -> str | None:
        if self._bucket is not None:
            data = self._bucket.get(name)
            return None if data is None else data.decode(errors="replace")
        try:
            return (self._run_dir / name).read_text(errors="replace")
        except OSError:
            return None


def forget_meetings(run_dir: Path) -> None:
    """Remove files that a killed coordinator left."""
    for path in run_dir.glob(f"{_PREFIX}*"):
        discard(path)


async def greeting_of(crew: Crew, worker: int, setup: Setup) -> tuple[Greeting, BatcherError | None]:
    """The greeting of a worker, and why it can't be used: UsageError, DiskError if it has no room, or None.

    Raises WorkerLost, and DiskError if this process has no room.
    """
    meeting = await asyncio.to_thread(Meeting, setup.run_dir, setup.bucket)
    identities: list[str] = []
    try:
        await asyncio.to_thread(meeting.begin)
        greeting: Greeting = unpacked(await crew.call(worker, "greet", packed(meeting.nonce)))
        identities.append(greeting.identity)
        heard = await asyncio.to_thread(meeting.was_answered, greeting.identity)
    finally:
        await asyncio.to_thread(meeting.end, identities)
    return greeting, _problem(greeting, setup, heard=heard)


def _problem(greeting: Greeting, setup: Setup, *, heard: bool) -> BatcherError | None:
    ours, theirs = ".".join(platform.python_version_tuple()[:2]), ".".join(greeting.python.split(".")[:2])
    for what, mine, its in (("batcher", __version__, greeting.batcher), ("Python", ours, theirs)):
        if mine != its:
            return UsageError(
                f"the worker on {greeting.host} has {what} {one_line(its, 40)}, this process has {mine}",
                hint="Install the same on every machine of the cluster (one image for all). Nothing was submitted.",
            )
    if setup.simulated and "127.0.0.1" in setup.trust and greeting.host != socket.gethostname():
        return UsageError(
            f"the simulator serves its files to this machine only, and there is a worker on {greeting.host}",
            hint="Serve them to all with `batcher simulate --host 0.0.0.0`, and run with --base-url and --trust-host.",
        )
    if greeting.no_room:
        of_bucket = "A worker uses the credentials of its own machine: its role, or the environment of `ray start`."
        return DiskError(f"the worker on {greeting.host}: {greeting.problem}", hint=of_bucket if setup.bucket else "")
    if greeting.problem or not heard:
        why = greeting.problem or "what it writes does not arrive here"
        return UsageError(
            f"the worker on {greeting.host} does not see {setup.bucket or setup.run_dir}: {one_line(why, 200)}",
            hint="Workers write the images themselves: give a run directory (-o) on a disk that every machine of the"
            " cluster has at the same path, or a bucket (--images). Nothing was submitted.",
        )
    return None
