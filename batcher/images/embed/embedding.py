"""Into a file and out of it again: which container it is, whether it may be touched, and the file on the disk.

``embed`` takes and gives bytes. Its laws, which the tests hold it to: the decoded pixels and every piece that is not
ours stay as they are; twice is the same as once; ``strip`` gives back what was there before (unless that had an
infotext itself: then it was replaced).
"""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from batcher.images.containers import Damaged
from batcher.images.embed import infotext, jpeg, png, webp, xmp
from batcher.images.embed.splice import Changes, NotEmbedded, Signed
from batcher.images.kinds import JPEG, PNG, WEBP, Kind, identify
from batcher.images.structure import walk
from batcher.store.files.whole import write_whole

WORDS = ("infotext", "xmp", "iptc")


class Container(Protocol):
    """What ``png``, ``jpeg`` and ``webp`` do; for files that have been walked."""

    def c2pa(self, content: bytes, /) -> bool: ...
    def infotext(self, content: bytes, /) -> str | None: ...
    def xmp(self, content: bytes, /) -> bytes | None: ...
    def write(self, content: bytes, changes: Changes, /) -> bytes: ...


_CONTAINERS: dict[Kind, Container] = {PNG: png, JPEG: jpeg, WEBP: webp}


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A file that was written. bytes, sha256: of what is on disk now. c2pa: it had a manifest, which was overruled."""

    bytes: int
    sha256: str
    c2pa: bool


def embed(content: bytes, record: Mapping[str, Any], what: AbstractSet[str], *, force: bool = False) -> bytes:
    """``content`` with what its sidecar ``record`` says. ``what``: of WORDS.

    Raises Signed for a file with a C2PA manifest, unless ``force``; NotEmbedded for a file that is damaged, that is no
    PNG, JPEG or WebP, or whose container has no room.
    """
    with _opened(content) as container:
        if not force and _has_c2pa(container, content):
            raise Signed
        changes: Changes = {}
        if "infotext" in what:
            changes["infotext"] = infotext.of(record).text()
        if {"xmp", "iptc"} & what:
            changes["xmp"] = xmp.merged(container.xmp(content), record, whole="xmp" in what)
        return container.write(content, changes)


def strip(content: bytes) -> bytes:
    """``content`` without what ``embed`` wrote. Raises NotEmbedded as it does."""
    with _opened(content) as container:
        return container.write(content, {"infotext": None, "xmp": xmp.without(container.xmp(content))})


def read_infotext(content: bytes) -> str | None:
    """The infotext in a file, whoever wrote it. Raises NotEmbedded as ``embed`` does."""
    with _opened(content) as container:
        return container.infotext(content)


def has_c2pa(content: bytes) -> bool:
    """Whether a file carries a C2PA manifest, or says where one lies. What can't be read has none."""
    with suppress(NotEmbedded), _opened(content) as container:
        return _has_c2pa(container, content)
    return False


def embed_file(
    source: Path, record: Mapping[str, Any], what: AbstractSet[str], *, target: Path | None = None, force: bool = False
) -> Embedded:
    """``embed`` for a file; ``target``: where the result goes, whole or not at all, instead of over ``source``.

    Raises Signed and NotEmbedded as ``embed`` does, and then writes nothing; OSError when ``source`` can't be read;
    DiskError when the result can't be written.
    """
    content = source.read_bytes()
    result = embed(content, record, what, force=force)
    if target is not None or result != content:
        write_whole(target or source, [result])
    return Embedded(bytes=len(result), sha256=hashlib.sha256(result).hexdigest(), c2pa=has_c2pa(content))


@contextmanager
def _opened(content: bytes) -> Iterator[Container]:
    """What knows the container; the file is whole. Damage, also where it shows later, becomes NotEmbedded."""
    kind = identify(content)
    container = _CONTAINERS.get(kind) if kind else None
    if kind is None or container is None:
        raise NotEmbedded(f"{kind.mime} has no place for it" if kind else "it is no image")
    try:
        walk(content, kind)
        yield container
    except Damaged as damage:
        raise NotEmbedded(f"damaged {kind.extension}: {damage}") from None


def _has_c2pa(container: Container, content: bytes) -> bool:
    if container.c2pa(content):
        return True
    with suppress(NotEmbedded):
        return xmp.points_to_c2pa(container.xmp(content) or b"")
    return False
