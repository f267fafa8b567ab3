"""Uploads files that are inputs, and makes the links that the service gets to them.

A file goes to ``--media`` under the hash of its content, once. A link is made when its job is submitted. It is a secret
until it expires: it is sent to the service, and appears in no file and no message.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl

from batcher.client.sessions import session
from batcher.core.errors import DiskError, UsageError
from batcher.core.one_line import one_line
from batcher.images import storage
from batcher.images.kinds import KINDS
from batcher.images.media_contents import name_of, object_at, pieces
from batcher.manifest.schema.media import is_content, media_problem
from batcher.manifest.schema.media_files import Unusable
from batcher.store import media

if TYPE_CHECKING:  # it needs an extra
    from batcher.images.objects import Objects

AT_ONCE = 8
LARGE = 16_000_000  # bytes; of larger files, one is in memory at a time
QUEUE = 6 * 3600.0  # seconds that a link is valid beyond the time-out of a job
LONGEST = 7 * 86_400.0  # seconds that a link of S3 can be valid
FRESH = 60.0  # seconds after a look at an object, without another look
_MOST_SEEN = 100_000
_EXTENSIONS = {kind.mime: f".{kind.extension}" for kind in reversed(KINDS)}
_FETCH = aiohttp.ClientTimeout(total=120.0, sock_connect=10.0)


class MediaLinks:
    """Uploads and links. For many threads.

    place: the URL that files are uploaded to, None if inputs are objects in buckets only. life: seconds that a link is
    valid. is_here: whether the service runs on this machine, and so may get links that are not public.
    """

    def __init__(self, place: str | None, life: float, *, is_here: bool) -> None:
        self._place = place
        self._life = min(life, LONGEST)
        self._is_here = is_here
        self._large = threading.Lock()
        self._seen: dict[str, float] = {}

    def links_into(self, place: str) -> str:
        """The beginning of every link to an object below ``place``. Raises UsageError if the service can't reach it."""
        prefix = storage.objects(place).link("x", 60.0).partition("?")[0].removesuffix("x")
        if not self._is_here and (reason := media_problem(f"{prefix}x")):
            raise UsageError(
                f"--media {place}: its links would begin with {one_line(prefix, 150)}, which {reason}",
                hint="Nothing was submitted. Give a bucket that the service can reach: AWS_ENDPOINT_URL must be its"
                " public https address.",
            )
        return prefix

    def prepare(
        self, content: media.Media, sources: Sequence[media.Source], progress: Callable[[], None] = lambda: None
    ) -> media.Media:
        """The content with its object, which is uploaded if it is missing.

        sources: the files that it was read from. progress: called after an upload. Raises DiskError, and Unusable if
        the files are gone or have changed.
        """
        place = self._target(content)
        if place is None:
            raise Unusable("is a file on this machine and there is no --media to upload it to")
        objects, key = self._object(content)
        stat = objects.stat(key)
        if stat is not None and (content.version in {None, stat.version}) and stat.size == content.bytes:
            self._note_seen(place)
            return replace(content, place=place)
        if content.version is not None:  # an object of the user, which was changed or deleted
            if self._place is None:
                raise Unusable(f"{place} has changed since it was read")
            return self.prepare(replace(content, place=None, version=None), sources, progress)
        self._upload(objects, key, content, sorted(sources, key=lambda one: "://" in one.source))
        self._note_seen(place)
        progress()
        return replace(content, place=place)

    def is_fresh(self, content: media.Media) -> bool:
        """Whether its object was there less than ``FRESH`` seconds ago."""
        place = self._target(content)
        return place is not None and time.monotonic() - self._seen.get(place, -FRESH) < FRESH

    def link(self, content: media.Media) -> str:
        """A pre-signed link, valid from now on. ``prepare`` comes first."""
        objects, key = self._object(content)
        return objects.link(key, self._life)

    def _target(self, content: media.Media) -> str | None:
        """The URL of the object that links are made to."""
        if content.version is not None or self._place is None:
            return content.place
        if content.place is not None and content.place.startswith(f"{self._place}/"):
            return content.place
        return f"{self._place}/{name_of(content.sha256, _EXTENSIONS.get(content.mime, ''))}"

    def _object(self, content: media.Media) -> "tuple[Objects, str]":
        """The place or the bucket that its object is in, and its name there."""
        place = self._target(content)
        assert place is not None, "prepare comes first"
        if content.version is None and self._place is not None:
            return storage.objects(self._place), place.removeprefix(f"{self._place}/")
        return object_at(place)

    def root(self, content: media.Media) -> str:
        """The URL of the place or the bucket that its object is in."""
        return self._object(content)[0].url

    def _note_seen(self, place: str) -> None:
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[place] = time.monotonic()

    def _upload(self, objects: "Objects", key: str, content: media.Media, sources: list[media.Source]) -> None:
        for source in sources:
            with self._large if content.bytes > LARGE else nullcontext():
                data = _read(source.source, content)
                if data is None:
                    continue
                is_new = objects.put_new(key, data, content.mime)
                if not is_new and ((stat := objects.stat(key)) is None or stat.size != content.bytes):
                    raise DiskError(  # it was there already, from another run say
                        f"{objects.url}/{key} has other bytes than its name says",
                        hint="Nothing was sent to the service. Delete that object, and run the same command again.",
                    )
                return
        raise Unusable(
            f"{sources[0].source} has gone or changed since it was read" if sources else "its file is not known"
        )

    def warning(self, now: float) -> str | None:
        """A warning if the credentials expire before a link would. now: Unix seconds."""
        ends = os.environ.get("AWS_CREDENTIAL_EXPIRATION", "")
        try:
            left = datetime.fromisoformat(ends).astimezone(UTC).timestamp() - now if ends else None
        except ValueError:
            left = None
        if left is not None and left < self._life:
            return f"the bucket's credentials end in {left / 60:,.0f} min, and with them every link to the inputs"
        if left is None and os.environ.get("AWS_SESSION_TOKEN"):
            return "links to the inputs end with the session of AWS_SESSION_TOKEN, which may be before the jobs do"
        return None


def _read(source: str, content: media.Media) -> bytes | None:
    """The bytes of a file; None if it is gone or has changed."""
    try:
        data = b"".join(pieces(source, content.bytes))
    except Unusable:
        return None
    return data if hashlib.sha256(data).hexdigest() == content.sha256 else None


def contents_in(inputs: Mapping[str, Any]) -> Iterator[str]:
    """The hashes of the files among a job's inputs."""
    for value in inputs.values():
        for one in value if isinstance(value, list) else [value]:
            if is_content(one):
                yield one.removeprefix("sha256:")


def with_links(inputs: Mapping[str, Any], link: Callable[[str], str]) -> dict[str, Any]:
    """The inputs as they are sent. link: gives the link for a hash."""

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(one) for one in value]
        return link(value.removeprefix("sha256:")) if is_content(value) else value

    return {name: put(value) for name, value in inputs.items()}


async def try_link(link: str, content: media.Media) -> None:
    """Request a link once, as the service will do. Raises DiskError if it does not give the file."""
    shown = link.partition("?")[0]
    try:
        async with (
            session(timeout=_FETCH) as calls,
            calls.get(yarl.URL(link, encoded=True), allow_redirects=False) as answer,
        ):
            status, digest, size = answer.status, hashlib.sha256(), 0
            async for piece in answer.content.iter_chunked(1 << 20):
                digest.update(piece)
                size += len(piece)
                if size > content.bytes or status != 200:
                    break
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        words = one_line(str(error).replace(link, shown), 150) or type(error).__name__
        raise _no_link(shown, words) from None
    if status != 200:
        raise _no_link(shown, f"it answers HTTP {status}")
    if digest.hexdigest() != content.sha256:
        raise _no_link(shown, "it gives other bytes than were uploaded")


def _no_link(shown: str, why: str) -> DiskError:
    return DiskError(
        f"a link to an input ({one_line(shown, 200)}) does not work: {why}",
        hint="Nothing was submitted. Let the credentials read the bucket, check the clock and the endpoint, and run the"
        " same command again.",
    )
