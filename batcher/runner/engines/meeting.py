"""Proof that a worker and the coordinator see one place: a file written by each, read by the other."""

import secrets
import tempfile
from pathlib import Path

from batcher.core.errors import UsageError
from batcher.images.storage import bucket
from batcher.store.files.disk import discard, disk

_PREFIX = ".batcher-probe-"


class Meeting:
    """In the run directory, or in its bucket. Methods block, and raise DiskError.

    nonce: of the coordinator that began it; None begins one.
    """

    def __init__(self, run_dir: str, url: str | None, nonce: str | None = None) -> None:
        self.nonce = nonce or secrets.token_hex(8)
        self._run_dir = Path(run_dir)
        self._bucket = None if url is None else bucket(self._run_dir, url)
        self._name = f"{_PREFIX}{self.nonce}"

    def begin(self) -> None:
        self._write(self._name, self.nonce)

    def answer(self, identity: str) -> None:
        """Raises UsageError where the coordinator's file can't be read."""
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
    """Removes what a coordinator that was killed left of them."""
    for path in run_dir.glob(f"{_PREFIX}*"):
        discard(path)
