"""Input files of jobs: uploads them before the first submit, and makes a link to each at every submit."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from batcher.client.api import Api
from batcher.core.errors import DiskError, ManifestError, Problem, UsageError
from batcher.core.job import Entry
from batcher.core.one_line import one_line
from batcher.core.settings import Settings
from batcher.images import storage
from batcher.images.media_contents import MediaContents, object_place, uploaded
from batcher.images.media_links import AT_ONCE, QUEUE, MediaLinks, contents_in, try_link, with_links
from batcher.manifest import Loader
from batcher.manifest.schema.media_files import Unusable
from batcher.runner.progress import Says, counting
from batcher.store import StateFile, media, reading

READING = "reading the files of inputs: {:,} so far"
SENDING = "uploading inputs: {:,} so far"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_CHUNK = 64
_MOST_NAMED = 50
_AGAIN = "Nothing is lost. Put the file back, or run the same command again, which reads it again."


def place_of(given: str | None, loader: Loader) -> str | None:
    """The URL that input files are uploaded to: of ``--media`` (given), else of the manifest, else None.

    Raises UsageError, ManifestError.
    """
    if given or loader.media is None:
        return storage.checked_url(given, "--media") if given else None
    here = loader.media
    try:
        return storage.checked_url(here.text, "`media`")
    except UsageError as error:
        fix = f"{error.hint[:1].lower()}{error.hint[1:]}"
        raise ManifestError([Problem(here.file, here.line, here.column, error.message, fix)]) from None


def contents(
    state: StateFile, place: str | None, progress: Says, before: sqlite3.Connection | None = None
) -> MediaContents:
    """Reads input files while the manifest is read into ``state``.

    place: URL for uploads. before: the state file of the run directory, if ``state`` is a temporary one.
    """
    return MediaContents(state.connection, place, before, counting(progress, READING))


class MediaInputs:
    """The input files of one run. links: makes links. place: URL for uploads, None for none. api: of the run."""

    def __init__(self, links: MediaLinks, place: str | None, api: Api) -> None:
        self._links = links
        self._place = place
        self._api = api
        self._hidden: set[str] = set()
        self._moved: dict[str, media.Media] = {}  # by hash: files that were uploaded again during the run

    async def upload(self, state: StateFile, limit: int | None, progress: Says, *, try_one: bool) -> None:
        """Upload every missing file of the jobs to be submitted.

        limit: as ``--limit``. try_one: fetch one link as a test. Raises ManifestError for missing local files,
        DiskError, UsageError.
        """
        wanted = self._wanted(state.connection, limit)
        if not wanted:
            return
        tell, numbers = counting(progress, SENDING), count(1)
        problems: list[Problem] = []
        smallest: media.Media | None = None
        hashes = list(wanted)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="inputs") as pool:
            for start in range(0, len(hashes), _CHUNK):
                contents = [(one, *_recorded(state.connection, one)) for one in hashes[start : start + _CHUNK]]
                tasks = [
                    asyncio.wrap_future(pool.submit(self._in_place, *facts, lambda: tell(next(numbers))))
                    for facts in contents
                ]
                done: list[media.Media] = []
                for (sha256, *_), outcome in zip(
                    contents, await asyncio.gather(*tasks, return_exceptions=True), strict=True
                ):
                    if isinstance(outcome, Unusable):
                        file, line, name = wanted[sha256]
                        problems.append(Problem(file, line, 1, f"`{name}`: {outcome}", "put it back"))
                    elif isinstance(outcome, BaseException):
                        raise outcome
                    else:
                        done.append(outcome)
                        smallest = min(smallest or outcome, outcome, key=lambda one: one.bytes)
                state.must_commit([partial(media.put_contents, state.connection, done)])
        if problems:
            raise ManifestError(problems[:_MOST_NAMED], total=len(problems))
        if smallest is not None and try_one:
            await try_link(self._link(smallest), smallest)

    def _wanted(self, connection: sqlite3.Connection, limit: int | None) -> dict[str, tuple[str, int, str]]:
        """File, line and input of one job to be submitted, for each hash."""
        wanted: dict[str, tuple[str, int, str]] = {}
        if not media.is_known(connection):
            return wanted
        for inputs, source, line in reading.pending_inputs(connection, limit):
            for name, value in inputs.items():
                for sha256 in contents_in({name: value}):
                    wanted.setdefault(sha256, (source, line, one_line(name, 80)))
        return wanted

    def _in_place(
        self, sha256: str, content: media.Media | None, sources: list[media.Source], sent: Callable[[], None]
    ) -> media.Media:
        """Ensure that a file is uploaded. Runs in any thread. Raises Unusable."""
        if content is None and self._place is not None:
            content = uploaded(self._place, sha256)
        if content is None:
            raise Unusable("its file is not known to this run directory: run the manifest that names it, with --media")
        return self._links.prepare(content, sources, sent)

    def warnings(self, now: float) -> tuple[str, ...]:
        """A warning if links expire too early. now: Unix seconds."""
        ends = self._links.warning(now)
        return () if ends is None else (ends,)

    async def ready(self, entry: Entry, reader: sqlite3.Connection) -> None:
        """Ensure that the input files of a job are uploaded. Call it before the claim. Raises DiskError."""
        for sha256 in set(contents_in(entry.job.inputs)):
            content, sources = _recorded(reader, sha256)
            content = self._moved.get(sha256, content)
            if content is not None and self._links.is_fresh(content):
                continue
            try:
                ready = await asyncio.to_thread(self._in_place, sha256, content, sources, lambda: None)
                if ready != content:
                    self._moved[sha256] = ready
            except Unusable as error:
                raise DiskError(f"an input of {one_line(entry.job.prompt_id, 80)}: {error}", hint=_AGAIN) from None

    def sent(self, entry: Entry, reader: sqlite3.Connection) -> Any:
        """The inputs of a job with new links to its files."""

        def link(sha256: str) -> str:
            content = self._moved.get(sha256) or media.content(reader, sha256)
            assert content is not None, "call ready first"
            return self._link(content)

        return with_links(entry.job.inputs, link)

    def _link(self, content: media.Media) -> str:
        """A link. The client removes its query, which is a secret, from messages of the service."""
        root = self._links.root(content)
        if root not in self._hidden:
            self._hidden.add(root)
            self._api.hide_queries(self._links.links_into(root))
        return self._links.link(content)


def open_inputs(
    state: StateFile, place: str | None, settings: Settings, api: Api, *, is_simulator: bool
) -> MediaInputs | None:
    """The input files of a run; None if no job can have any. Raises UsageError if the service can't reach ``place``."""
    if place is None and not media.is_known(state.connection):
        return None
    is_here = is_simulator or urlsplit(api.base_url).hostname in LOOPBACK
    links = MediaLinks(place, settings.timeout + QUEUE, is_here=is_here)
    roots = {object_place(one)[0] for one in media.places(state.connection) if "://" in one}
    for root in ([place] if place else []) + sorted(roots):
        links.links_into(root)
    return MediaInputs(links, place, api)


def check_place(place: str | None, settings: Settings, *, is_here: bool) -> tuple[str, ...]:
    """Warnings for a plan. is_here: whether the service is on this machine. Raises UsageError if the service could not
    reach files at ``place``.
    """
    if place is None:
        return ()
    links = MediaLinks(place, settings.timeout + QUEUE, is_here=is_here)
    links.links_into(place)
    ends = links.warning(time.time())
    return () if ends is None else (ends,)


def _recorded(connection: sqlite3.Connection, sha256: str) -> tuple[media.Media | None, list[media.Source]]:
    if not media.is_known(connection):
        return None, []
    return media.content(connection, sha256), media.sources_of(connection, sha256)
