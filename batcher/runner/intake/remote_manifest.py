"""A manifest at a URL: downloaded first, and copied to the run directory.

If the URL no longer answers, for example an expired signed link, the copy of the last start is used, with a warning. So
the same command still resumes the run. A URL with other content is an edited manifest.
"""

import json
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from batcher.core.errors import ServiceError
from batcher.core.shard import shard_suffix
from batcher.images.remote_file import fetch, is_remote, shown
from batcher.manifest.loader import name_of_url
from batcher.runner.progress import Says
from batcher.runner.service import Options
from batcher.store.files.whole import write_whole
from batcher.store.opening import MANIFEST_COPY

MOST = 256_000_000  # bytes
COPY, ABOUT = MANIFEST_COPY
_BY_TYPE = {
    "text/csv": ".csv", "text/tab-separated-values": ".tsv", "application/json": ".json", "text/plain": ".txt",
    "application/x-ndjson": ".jsonl", "application/jsonl": ".jsonl", "application/yaml": ".yaml",
    "application/x-yaml": ".yaml", "text/yaml": ".yaml", "application/vnd.apache.parquet": ".parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remote:
    """A downloaded manifest. url: without secrets. path: of its bytes. warning: set if they are of an earlier start."""

    url: str
    path: Path
    warning: str | None = None

    def keep(self, run_dir: Path, progress: Says) -> None:
        """Copy it to the run directory, for a start at which the URL does not answer. Raises DiskError."""
        if self.warning:
            progress.say(f"warning: {self.warning}")
            return
        write_whole(run_dir / COPY, [self.path.read_bytes()])
        write_whole(run_dir / ABOUT, [json.dumps({"url": self.url, "suffix": self.path.suffix})])


@asynccontextmanager
async def brought(options: Options) -> AsyncIterator[tuple[Options, Remote | None]]:
    """Download the manifest if it is a URL. Yields the options without secrets, and the manifest; None for a path.

    Raises UsageError, ServiceError.
    """
    given = options.manifest
    if not is_remote(given):
        yield options, None
        return
    url = shown(given)
    words = [url if word == given else word for word in shlex.split(options.command)]
    options = replace(options, manifest=url, command=shlex.join(words))
    with TemporaryDirectory(prefix="batcher-manifest-") as folder:
        path = Path(folder, "manifest")
        try:
            kind = await fetch(given, path, MOST)
            remote = _named(url, path, kind)
        except ServiceError as error:
            remote = _earlier(options, Path(folder), error)
        yield options, remote


def _named(url: str, path: Path, kind: str) -> Remote:
    """Give the file an extension that says its format. kind: its MIME type."""
    return Remote(url, path.rename(path.with_suffix(_suffix(url, kind))))


def _suffix(url: str, kind: str) -> str:
    """The extension in the URL, else one by the MIME type."""
    suffix = PurePosixPath(unquote(urlsplit(url).path)).suffix.lower()
    suffixes = {*_BY_TYPE.values(), ".yml", ".ndjson", ".tab", ".xls", ".ods"}
    return suffix if suffix in suffixes else _BY_TYPE.get(kind, suffix if suffix[1:].isalnum() else "")


def _earlier(options: Options, folder: Path, error: ServiceError) -> Remote:
    """The copy of the last start. Raises ``error`` if there is none."""
    default = Path("runs") / f"{name_of_url(options.manifest)}{shard_suffix(options.shard)}"
    run_dir = Path(options.out) if options.out else default
    try:
        about = json.loads((run_dir / ABOUT).read_bytes())
        if about["url"] != options.manifest:
            raise error
        path = folder / f"earlier{about['suffix']}"
        path.write_bytes((run_dir / COPY).read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        raise error from None
    return Remote(options.manifest, path, f"{error.message}: the copy of the last start is used")
