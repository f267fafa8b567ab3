"""Where the images of a run are: its folder ``images``, or a bucket that the file ``images.url`` names.

That file is one line, the URL and the name of the run, so a person can read and write it. Everything that reads images
(verify, view, grid, export, rebuilding) finds the bucket by it.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from batcher.core.batched import batched
from batcher.core.command_line import repair
from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.manifest.extras import install_command
from batcher.store import STATE, has_state
from batcher.store.files.place import Place, Shelf
from batcher.store.files.safe_reader import SafeReader
from batcher.store.files.whole import write_whole
from batcher.store.joined import runs_of, whose
from batcher.store.opening import BUCKET

if TYPE_CHECKING:
    from batcher.images.bucket import Bucket
    from batcher.images.objects import Objects

T = TypeVar("T")

SCHEMES = ("s3", "gs", "az", "file")
RECORD = BUCKET
_AT_ONCE = 32
_PLAIN_URL = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<place>[^@?#\s]*)")


def url_of(run_dir: Path) -> str | None:
    """The bucket of this run, None if its images are in its own folder. Raises UsageError."""
    record = _record(run_dir)
    return None if record is None else record[0]


def claim(run_dir: Path, url: str | None) -> None:
    """Makes the bucket that ``--images`` names the one of this run, before anything is submitted.

    url: None for the bucket of the earlier runs, if any. Raises UsageError if the earlier runs have their images
    elsewhere, or the store is not fit; DiskError.
    """
    record = _record(run_dir)
    if url is not None:
        url = checked_url(url)
    if record is not None:
        _claim_again(run_dir, url, *record)
    elif url is not None:
        _claim_first(run_dir, url)


def _claim_first(run_dir: Path, url: str) -> None:
    if any((run_dir / "images").glob("*")):
        raise UsageError(
            f"{run_dir} has its images in its own folder",
            hint="Leave --images out, or give another -o.",
        )
    place = bucket(run_dir, url)
    place.probe()  # before anything is written: a wrong name can be corrected
    owner = f"{run_dir.resolve().name}-{secrets.token_hex(6)}"
    write_whole(run_dir / RECORD, [f"{url} {owner}\n"])
    try:
        place.claim(owner)
    except UsageError:
        (run_dir / RECORD).unlink()  # nothing was written there, so the next try may name another bucket
        raise


def _claim_again(run_dir: Path, url: str | None, recorded: str, owner: str) -> None:
    if url not in {None, recorded}:
        raise UsageError(
            f"the images of {run_dir} are in {recorded}",
            hint="Leave --images out, or choose another run directory with -o.",
        )
    place = bucket(run_dir, recorded)
    place.probe()
    place.claim(owner)
    if not has_state(run_dir) and next(place.objects(), None) is not None:
        raise UsageError(
            f"{recorded} holds images of an earlier run but {run_dir / STATE} is gone",
            hint=f"Running there would pay for them again. `{repair(run_dir)}` makes a new {STATE}"
            " from their sidecars. Or choose another directory with -o.",
        )


def place_of(run_dir: Path) -> Place:
    """Where the images and sidecars of this run are written."""
    url = url_of(run_dir)
    return Shelf(run_dir) if url is None else bucket(run_dir, url)


def reader_of(run_dir: Path) -> SafeReader:
    """The reader of its images and sidecars; of several runs that are read as one, of all of them."""
    if len(runs_of(run_dir)) > 1:
        return _JoinedReader(run_dir)
    url = url_of(run_dir)
    return SafeReader(run_dir) if url is None else _module().BucketReader(run_dir, bucket(run_dir, url))


class _JoinedReader(SafeReader):
    """Reads several runs as one: each image by the reader of its own run.

    run_dir: the folder behind which they are (``runs_of``).
    """

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self._readers = {run: reader_of(run) for run in runs_of(run_dir)}

    def path(self, file: str) -> Path:
        run, file = whose(self.run_dir, file)
        return self._readers[run].path(file)

    def regular(self, file: str) -> Path:
        run, file = whose(self.run_dir, file)
        return self._readers[run].regular(file)


def present(run_dir: Path) -> Callable[[str], bool]:
    """A function that says whether a recorded file is there. A bucket is listed once, here."""
    url = url_of(run_dir)
    if url is None:
        return lambda file: (run_dir / file).is_file()
    names = {f"images/{key}" for key, _ in bucket(run_dir, url).objects()}
    return names.__contains__


def local(run_dir: Path, file: str, sha256: str | None = None) -> Path:
    """A local path that has the content of a recorded image; for a bucket, a copy that is fetched once.

    sha256: of the image, if known: then only these bytes will do. If there is no such image, nothing is at that path.
    Raises DiskError.
    """
    run_dir, file = whose(run_dir, file)
    url = url_of(run_dir)
    if url is None:
        return run_dir / file
    return bucket(run_dir, url).local(file, sha256)


def brought(run_dir: Path, items: Iterable[T], recorded: Callable[[T], tuple[str, str | None]]) -> Iterator[T]:
    """The same items; if their images are in a bucket, each is given after a copy of its image was fetched.

    recorded: gives file and sha256 of an item's image. Raises DiskError.
    """
    if not any(map(url_of, runs_of(run_dir))):
        yield from items
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bucket") as pool:
        for batch in batched(items, 8 * _AT_ONCE):
            for _ in pool.map(lambda item: local(run_dir, *recorded(item)), batch):
                pass
            yield from batch


def objects(url: str) -> "Objects":
    """The objects below a URL. Raises UsageError without the extra."""
    client: Objects = _client("Objects", _credentials(), url)
    return client


def bucket(run_dir: Path, url: str) -> "Bucket":
    """The images of a run below a URL. Raises UsageError without the extra."""
    client: Bucket = _client("Bucket", _credentials(), url, run_dir)
    return client


@lru_cache(maxsize=64)
def _client(kind: str, _credentials: int, *where: Any) -> Any:  # new credentials make another client
    return getattr(_module(), kind)(*where)


def _credentials() -> int:
    """A hash of the variables that stores take credentials from: a notebook may change them between two runs."""
    return hash(tuple(sorted(item for item in os.environ.items() if item[0].startswith(("AWS_", "AZURE_", "GOOGLE_")))))


def checked_url(url: str, what: str = "--images") -> str:
    """``url`` without a ``/`` at its end. Raises UsageError if it does not name a place in a bucket.

    what: names the URL in the message.
    """
    match = _PLAIN_URL.fullmatch(url)
    if match is None or match["scheme"] not in SCHEMES or not match["place"].strip("/"):
        shown = one_line(re.sub("//[^/]*@", "//", url).partition("?")[0], 100)
        raise UsageError(
            f"{what} {shown}: not a place in a bucket",
            hint="Such as s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///mnt/sets/x, without "
            "credentials in it: those come from the environment (AWS_ACCESS_KEY_ID, ...) or the machine's role.",
        )
    if match["scheme"] == "file" and not match["place"].startswith("/"):
        raise UsageError(f"{what} {url}: a file:// URL names a whole path", hint="Such as file:///mnt/sets/x.")
    return url.rstrip("/")


def _record(run_dir: Path) -> tuple[str, str] | None:
    """The URL and the name of the run, as ``images.url`` has them."""
    try:
        text = (run_dir / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    url, _, owner = text.strip().partition(" ")
    return checked_url(url), owner.strip()


def _module() -> ModuleType:
    try:
        from batcher.images import bucket as module  # noqa: PLC0415  needs an extra
    except ImportError:
        raise UsageError("buckets need obstore, which is not installed", hint=install_command("cloud")) from None
    return module
