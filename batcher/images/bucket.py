"""Images and sidecars of a run in object storage.

An object is created only if none is there (a conditional put). If the answer to a put was lost, the put is repeated and
finds its own object: it is read, and the same bytes are success. An object with other bytes is replaced only if its
sidecar names the same job, and only if nobody else changed it meanwhile.

The URL stands for the folder ``images``: the recorded file ``images/a/b.png`` is the object ``a/b.png`` below it.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions

from batcher.core.errors import DiskError, UsageError
from batcher.core.one_line import one_line
from batcher.images import objects
from batcher.images.objects import Objects
from batcher.store.files.disk import temp_beside
from batcher.store.files.place import Put, Taken, sidecar_text
from batcher.store.files.safe_reader import (
    EXTENSIONS,
    IMAGES,
    LOST_AND_FOUND,
    Absent,
    Outside,
    SafeReader,
    Seen,
    extension,
    is_plain,
)
from batcher.store.files.whole import write_whole

OWNER = ".batcher.json"  # the object that names the run
CACHE = "cache"  # below the run directory: copies of images by their sha256; may be deleted at any time
SCRATCH = "uploads"  # below the run directory: bodies that are too big for memory


class Bucket(Objects):
    """A ``Place`` below a URL, and what is needed to claim and read it. For many threads.

    url: such as ``s3://bucket/prefix``. run_dir: the run directory, for local copies.
    """

    grouped = False

    def __init__(self, url: str, run_dir: Path) -> None:
        super().__init__(url)
        self._scratch = run_dir / SCRATCH
        self._cache = run_dir / CACHE

    def relative(self, name: str) -> str:
        return f"{IMAGES}/{name}"

    def temp(self, name: str) -> Path:
        self._scratch.mkdir(exist_ok=True)
        return temp_beside(self._scratch / name.replace("/", "_"))

    def put(self, path: str, extension: str, content: bytes | Path, sidecar: Mapping[str, Any]) -> Put:
        """As ``Place.put``. Both survive a power cut when this returns."""
        image, job = f"{path}.{extension}", str(sidecar.get("job"))
        is_new = self._create(image, content, path, job)
        try:
            self._create(f"{path}.json", sidecar_text(sidecar), path, job)
        except Taken:
            if is_new:
                self.delete(image)
            raise
        return Put()

    def put_sidecar(self, path: str, values: Mapping[str, Any]) -> None:
        self._create(f"{path}.json", sidecar_text(values), path, str(values.get("job")))

    def move_to_lost_and_found(self, file: str) -> str | None:
        """Moves a recorded file to ``lost+found`` below the URL. Gives its URL there, None if there is no such file."""
        key = _key(file)
        target = f"{LOST_AND_FOUND}/{key}"
        with self.refusals(file):
            try:
                with suppress(*objects.Absent):
                    obstore.head(self.store, target)
                    target += f".{secrets.token_hex(4)}"
                obstore.rename(self.store, key, target)
            except objects.Absent:
                return None
        return f"{self.url}/{target}"

    def local(self, file: str, sha256: str | None = None) -> Path:
        """The path of a copy of a recorded file, fetched once. Nothing is at that path if there is no such file.

        sha256: of the file, if known: then only these bytes will do.
        """
        name = sha256 or self._version(file)
        path = self._cache / name[:2] / f"{name}{Path(file).suffix}"
        if not path.exists():
            content = self.get(_key(file)) if is_plain(file) else None
            if content is not None and sha256 in {None, hashlib.sha256(content).hexdigest()}:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, [content], durable=False)
        return path

    def _version(self, file: str) -> str:
        """A name for the present content of a recorded file, or for its absence."""
        facts = self.stat(_key(file))
        tag = "" if facts is None else facts.version
        return blake2b(f"{file} {tag}".encode(), digest_size=16).hexdigest()

    def objects(self) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of every image and sidecar below the URL."""
        with self.refusals(""):
            for page in obstore.list(self.store, chunk_size=1_000):
                for meta in page:
                    if meta["path"] != OWNER and not meta["path"].startswith(f"{LOST_AND_FOUND}/"):
                        yield meta["path"], meta["size"]

    def send(self, key: str, path: Path) -> None:
        """Writes a local file to ``key``, over what is there. A large one is sent in parts and appears whole."""
        with self.refusals(key):
            obstore.put(self.store, key, path)

    def claim(self, owner: str) -> None:
        """Writes the name of this run below the URL. Raises UsageError if another run is there; DiskError."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # left by a run that was killed
        mine = json.dumps({"run": owner}).encode()
        with self.refusals(OWNER):
            try:
                obstore.put(self.store, OWNER, mine, mode="create")
                return
            except exceptions.AlreadyExistsError:
                pass
        theirs = self._text_of(OWNER, "run")
        if theirs != owner:
            raise UsageError(
                f"{self.url} has the images of another run ({one_line(str(theirs), 80)})",
                hint=f"Give another prefix. To go on with that run from here, put {theirs} behind the URL in the file "
                "images.url of this run directory.",
            )

    def probe(self) -> None:
        """Raises UsageError if the store replaces an object in spite of a conditional put; DiskError."""
        key = f".batcher-probe-{secrets.token_hex(8)}"
        with self.refusals(""):
            obstore.put(self.store, key, b"1", mode="create")
            try:
                obstore.put(self.store, key, b"2", mode="create")
            except exceptions.AlreadyExistsError:
                return
            finally:
                with suppress(exceptions.BaseError):
                    obstore.delete(self.store, key)
        raise UsageError(
            f"{self.url} ignores conditional puts (If-None-Match): two writers could replace each other's images",
            hint="Nothing was submitted. Use a store that honours them (S3, GCS, Azure, MinIO, SeaweedFS, R2 do).",
        )

    def _create(self, key: str, content: bytes | Path, path: str, job: str) -> bool:
        """Puts an object. True if it is new, False if it replaced one of the same job or the bytes were there.

        path: of the image, without extension. Raises Taken if the sidecar there names another job.
        """
        with self.refusals(key):
            try:
                obstore.put(self.store, key, content, mode="create")
                return True
            except exceptions.AlreadyExistsError:
                pass
            present = self.get_version(key)
            data = content if isinstance(content, bytes) else content.read_bytes()
            if present is not None and present[0] == data:
                return False
            if self._text_of(f"{path}.json", "job") not in {None, job}:
                raise Taken(job)
            self._replace(key, data, "create" if present is None else present[1])
        return False

    def _replace(self, key: str, data: bytes, mode: Any) -> None:
        """mode: as ``get_version`` gives it."""
        try:
            obstore.put(self.store, key, data, mode=mode)
        except (exceptions.NotSupportedError, NotImplementedError):  # a local folder has no conditional update
            obstore.put(self.store, key, data, mode="overwrite")
        except objects.Changed:
            raise DiskError(
                f"{self.url}/{key} was just changed by another program",
                hint="Let one program write there at a time, and run the same command again. Nothing is paid twice.",
            ) from None

    def _text_of(self, key: str, name: str) -> str | None:
        """A text in an object that is JSON, by its name; None if there is none, or it can't be read."""
        try:
            facts = json.loads(self.get(key) or b"null")
        except ValueError:
            return None
        text = facts.get(name) if isinstance(facts, dict) else None
        return text if isinstance(text, str) else None


class BucketReader(SafeReader):
    """Reads the images and sidecars of a run from its bucket, by their recorded names.

    run_dir: the run directory. bucket: where they are.
    """

    def __init__(self, run_dir: Path, bucket: Bucket) -> None:
        super().__init__(run_dir)
        self.bucket = bucket

    def path(self, file: str) -> Path:
        """The recorded name as a path below the run directory, where there is no file. Raises Outside."""
        if not is_plain(file):
            raise Outside
        return self.run_dir / file

    def regular(self, file: str) -> Path:
        """The path of a local copy. Raises Absent, Outside."""
        self.path(file)
        path = self.bucket.local(file)
        if not path.exists():
            raise Absent
        return path

    @contextmanager
    def reading(self, file: str) -> Iterator[bytes]:
        self.path(file)
        content = self.bucket.get(_key(file))
        if content is None:
            raise Absent
        yield content

    def walk(self) -> Iterator[list[Seen]]:
        files = sorted(f"{IMAGES}/{key}" for key, _ in self.bucket.objects())
        yield [Seen(file, outside=False) for file in files if extension(file) in EXTENSIONS]


def _key(file: str) -> str:
    return file.removeprefix(f"{IMAGES}/")
