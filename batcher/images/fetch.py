"""From a link to a file that is safely on disk with its sidecar beside it.

There are two stages. On the event loop the body arrives (``body``). Then a worker thread does what takes time or waits
for the disk (check, hash, write, force, rename, sidecar), for many files at once if many wait (``saving``). The errors
say whether the link is dead, the file may come later, or it is refused; the runner decides what that means for the job.

The session has no token, keeps no cookies, reads no ``.netrc`` and no proxy settings, and follows no redirect by
itself: each URL passes ``Trust.check`` first, and the object that was checked is the one that is requested.
"""

import hashlib
import mmap
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import aiohttp
import msgspec
from msgspec.structs import replace

from batcher.client.sessions import MOST_REDIRECTS, REDIRECTS, session
from batcher.core.errors import Cause, FileRefused, FileUnavailable, LinkDead
from batcher.core.job import Artifact, Entry
from batcher.core.naming import numbered, with_key
from batcher.core.retry import retry_after
from batcher.core.sidecar import sidecar
from batcher.core.version import __version__
from batcher.images.body import IN_MEMORY, Body
from batcher.images.check import CheckDepth, Facts, Limits, allow, examine, wanted_ratio
from batcher.images.data_url import data_url, is_data_url, without_content
from batcher.images.kinds import Announced
from batcher.images.network import NETWORK, announced_kind, announced_size, onward, receive, whole
from batcher.images.saving import Saver, Written
from batcher.images.trust import Trust
from batcher.store.files.disk import discard, disk
from batcher.store.files.place import Place, Shelf, Taken

MOST_EMBEDDED = 64 << 20  # bytes of a file: embedding takes memory for two of it

Describe = Callable[[Artifact], Mapping[str, Any]]
Turn = AbstractAsyncContextManager[object]
Embed = Callable[[bytes, Mapping[str, Any]], tuple[bytes, str | None]]

ANY_TIME = nullcontext()
_DEAD = frozenset([403, 404, 410])
_MAY_PASS = frozenset([408, 425, 429])


class _Order(msgspec.Struct, frozen=True):
    """The arguments of ``Downloader.fetch`` that the worker thread needs.

    path: in the folder of images, without number and extension. output_index: from 0, of ``output_count`` files of the
    job. wanted_ratio: ``16:9``, None if the job does not say. describe: gives the sidecar of the saved file.
    """

    url: str
    path: str
    output_index: int
    output_count: int
    wanted_ratio: str | None
    describe: Describe


class Downloader:
    """Fetches files into a place. An async context manager; any number of fetches at once.

    place: where files and sidecars go; a path is a run directory, and they go to its folder ``images``.
    trust: the hosts that files may come from. check: how far files are checked. limits: of a file's size and time.
    wall: gives Unix seconds, for the times in sidecars and for dates in ``Retry-After``.
    threads: at most this many files are checked and written at once.
    embed: takes a file and its sidecar, gives the file to be written and a warning or None; None to embed nothing.
    """

    def __init__(
        self,
        place: Place | Path,
        *,
        trust: Trust,
        check: CheckDepth = "decode",
        limits: Limits | None = None,
        wall: Callable[[], float] = time.time,
        threads: int = 16,
        embed: Embed | None = None,
    ) -> None:
        self._place: Place = Shelf(place) if isinstance(place, Path) else place
        self._trust = trust
        self._depth = check
        self._limits = limits or Limits()
        self._wall = wall
        self._threads = threads if self._place.grouped else max(threads, 32)  # those of a bucket mostly wait
        self._embed = embed
        allow(self._limits)

    def __repr__(self) -> str:
        return f"<Downloader into {self._place!r}, check: {self._depth}>"

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="images")
        self._saver = Saver(self._pool, self._threads, grouped=self._place.grouped)
        self._session = session(
            connector=aiohttp.TCPConnector(limit=0),  # the runner bounds downloads
            timeout=aiohttp.ClientTimeout(
                total=limits.total_timeout, sock_connect=limits.connect_timeout, sock_read=limits.read_timeout
            ),
            headers={"Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        self._pool.shutdown()

    async def fetch(
        self,
        url: str,
        *,
        path: str,
        output_index: int = 0,
        output_count: int = 1,
        wanted_ratio: str | None = None,
        describe: Describe,
        turn: Turn = ANY_TIME,
        moment: float | None = None,
    ) -> Artifact:
        """Fetch one file. When this returns, it and its sidecar survive a power cut.

        path: relative to the folder of images, without extension, as ``naming.numbered`` gives it. If the sidecar of
        another job is there, this job's key is added to the name: an image that was paid for is never overwritten.
        output_index: of the file among the ``output_count`` files of its job, from 0.
        wanted_ratio: such as ``16:9``; an image of another shape is kept, with a warning.
        describe: gives the sidecar for an artifact; called in a worker thread.
        turn: held until the file has arrived; writing is bounded by the memory that it takes.
        moment: Unix seconds, the time in the sidecar; None for the time of arrival.

        Raises LinkDead, FileUnavailable, FileRefused or DiskError; no file is left behind then.
        """
        order = _Order(url, path, output_index, output_count, wanted_ratio, describe)
        async with turn:
            await self._saver.room()
            content, size, announced = await self._received(url, path)
        write = partial(self._written, order, content, announced, self._wall() if moment is None else moment)
        try:
            return await self._saver.save(write, size)
        finally:
            if isinstance(content, Path):
                discard(content)

    async def _received(self, url: str, path: str) -> tuple[bytes | Path, int, Announced]:
        """The content or the temporary file that has it, its size in bytes, and the kind that the host announced."""
        body = Body(path, place=self._place, pool=self._pool, limits=self._limits)
        try:
            if is_data_url(url):
                body.announced, content = data_url(url)
                await body.add(content)
                return await body.finish(), body.size, body.announced
            with NETWORK:
                response = await self._opened(url)
            async with response:
                size = announced_size(response, self._limits)
                body.announced = announced_kind(response)
                with NETWORK:
                    if size is not None and size <= IN_MEMORY:
                        content = await response.read()
                        return content, whole(len(content), size), body.announced
                    await receive(response, body)
                return await body.finish(), body.size, body.announced
        except BaseException:
            await body.discard()
            raise

    async def _opened(self, url: str) -> aiohttp.ClientResponse:
        """The answer with the file, after redirects within the trusted hosts."""
        for _ in range(MOST_REDIRECTS + 1):
            checked = self._trust.check(url)
            response = await self._session.get(checked, allow_redirects=False)
            if response.status == 200:
                return response
            response.close()
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or not location:
                self._refuse(response)
            url = onward(str(checked), location)
        raise FileRefused(Cause(kind="redirects", message=f"more than {MOST_REDIRECTS} redirects"))

    def _refuse(self, response: aiohttp.ClientResponse) -> NoReturn:
        status = response.status
        cause = Cause(kind=f"http_{status}", message=f"the file host answered {status}", http_status=status)
        if status in _DEAD:
            raise LinkDead(cause)
        if 400 <= status < 500 and status not in _MAY_PASS:
            raise FileRefused(cause)
        wait = retry_after(response.headers, self._wall())
        raise FileUnavailable(cause, retry_after=wait)

    def _written(self, order: _Order, content: bytes | Path, announced: Announced, moment: float) -> Written:
        """In a worker thread: check, embed, and write image and sidecar, which are still to be forced and renamed."""
        facts = self._examined(content, announced, order)
        content, facts = self._embedded(content, facts, order, moment)
        try:
            return self._put(content, facts, order.path, order, moment)
        except Taken as taken:
            return self._put(content, facts, with_key(order.path, taken.job), order, moment)

    def _put(self, content: bytes | Path, facts: Facts, path: str, order: _Order, moment: float) -> Written:
        artifact = self._artifact(facts, path, order, moment)
        return Written(artifact, self._place.put(path, facts.kind.extension, content, order.describe(artifact)))

    def _embedded(
        self, content: bytes | Path, facts: Facts, order: _Order, moment: float
    ) -> tuple[bytes | Path, Facts]:
        """The content with its metadata, and the facts of that. The check was of what was received."""
        if self._embed is None:
            return content, facts
        if facts.bytes > MOST_EMBEDDED:
            return content, _noted(facts, f"nothing was embedded: it takes {facts.bytes:,} bytes")
        record = order.describe(self._artifact(facts, order.path, order, moment))
        with disk(self._place.relative(order.path)):
            received = content if isinstance(content, bytes) else content.read_bytes()
        embedded, note = self._embed(received, record)
        if embedded == received:
            return content, _noted(facts, note)
        sha256 = hashlib.sha256(embedded).hexdigest()
        return embedded, _noted(replace(facts, bytes=len(embedded), sha256=sha256), note)

    def _examined(self, content: bytes | Path, announced: Announced, order: _Order) -> Facts:
        check = partial(
            examine, depth=self._depth, limits=self._limits, announced=announced, wanted_ratio=order.wanted_ratio
        )
        if isinstance(content, bytes):
            return check(content)
        with (
            disk(self._place.relative(order.path)),
            content.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return check(data, path=content)

    def _artifact(self, facts: Facts, path: str, order: _Order, moment: float) -> Artifact:
        return Artifact(
            file=self._place.relative(f"{path}.{facts.kind.extension}"),
            bytes=facts.bytes,
            sha256=facts.sha256,
            mime=facts.kind.mime,
            width=facts.size[0] if facts.size else None,
            height=facts.size[1] if facts.size else None,
            url=without_content(order.url),
            output_index=order.output_index,
            output_count=order.output_count,
            downloaded_at=moment,
            warning=facts.warning,
        )


async def fetch_all(
    downloader: Downloader, entry: Entry, *, simulated: bool, turn: Turn = ANY_TIME, moment: float | None = None
) -> list[Artifact]:
    """Fetch all files of a job, one after the other. Raises what ``Downloader.fetch`` raises; earlier files stay.

    simulated: whether the sidecars say so. turn, moment: as for ``Downloader.fetch``.
    """
    count = len(entry.urls)

    def describe(artifact: Artifact) -> Mapping[str, Any]:
        return sidecar(entry, artifact, simulated=simulated, version=__version__)

    return [
        await downloader.fetch(
            url,
            path=numbered(entry.path, index, count),
            output_index=index,
            output_count=count,
            wanted_ratio=wanted_ratio(entry.job.inputs),
            describe=describe,
            turn=turn,
            moment=moment,
        )
        for index, url in enumerate(entry.urls)
    ]


def _noted(facts: Facts, note: str | None) -> Facts:
    """The facts with another warning."""
    return replace(facts, warning="; ".join(filter(None, (facts.warning, note))) or None)
