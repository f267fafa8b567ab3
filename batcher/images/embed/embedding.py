"""Into a file and out of it again: which container it is, and whether it may be touched.

``embed`` takes and gives bytes. Its laws, which the tests hold it to: the decoded pixels and every piece that is not
ours stay as they are; twice is the same as once; ``strip`` gives back what was there before (unless that had an
infotext itself: then it was replaced).
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from batcher.core.job import CARRIES_C2PA
from batcher.images.containers import Damaged
from batcher.images.embed import infotext, jpeg, png, webp, xmp
from batcher.images.embed.splice import Changes, NotEmbedded, Signed, Spot, single
from batcher.images.kinds import JPEG, PNG, WEBP, Kind, identify

if TYPE_CHECKING:
    from batcher.images.fetch import Dress


class Container(Protocol):
    """What ``png``, ``jpeg`` and ``webp`` do; for files that have been walked."""

    def spots(self, content: bytes, /) -> Iterator[Spot]: ...
    def packet(self, content: bytes, spot: Spot, /) -> bytes: ...
    def write(self, content: bytes, changes: Changes, /) -> bytes: ...


_CONTAINERS: dict[Kind, Container] = {PNG: png, JPEG: jpeg, WEBP: webp}


def embed(content: bytes, record: Mapping[str, Any], what: AbstractSet[str], *, force: bool = False) -> bytes:
    """``content`` with what its sidecar ``record`` says. ``what``: of ``infotext``, ``xmp``, ``iptc``.

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
            changes["xmp"] = xmp.merged(_xmp(container, content), record, whole="xmp" in what)
        return container.write(content, changes)


def strip(content: bytes) -> bytes:
    """``content`` without what ``embed`` wrote. Raises NotEmbedded as it does."""
    with _opened(content) as container:
        return container.write(content, {"infotext": None, "xmp": xmp.without(_xmp(container, content))})


def has_c2pa(content: bytes) -> bool:
    """Whether a file carries a C2PA manifest, or says where one lies. What can't be read has none."""
    with suppress(NotEmbedded), _opened(content) as container:
        return _has_c2pa(container, content)
    return False


def at_arrival(wanted: AbstractSet[str]) -> "Dress | None":
    """Embeds into a picture that has just arrived, by the words of ``--embed``; None when nothing is wanted.

    A picture that nothing can be written into is kept as it came, with a note: it was paid for.
    """
    what, force = wanted - {"signed"}, "signed" in wanted

    def dress(content: bytes, record: Mapping[str, Any]) -> tuple[bytes, str | None]:
        try:
            dressed = embed(content, record, what, force=force)
        except Signed:
            return content, f"{CARRIES_C2PA}: nothing was embedded"
        except NotEmbedded as refusal:
            return content, f"nothing was embedded: {refusal}"
        return dressed, f"{CARRIES_C2PA}, which no longer holds" if force and has_c2pa(content) else None

    return dress if what else None


@contextmanager
def _opened(content: bytes) -> Iterator[Container]:
    """What knows the container; the file is whole. Damage, also where it shows later, becomes NotEmbedded."""
    kind = identify(content)
    container = _CONTAINERS.get(kind) if kind else None
    if kind is None or container is None:
        raise NotEmbedded(f"{kind.mime} has no place for it" if kind else "it is no image")
    try:
        kind.check(content)
        yield container
    except Damaged as damage:
        raise NotEmbedded(f"damaged {kind.extension}: {damage}") from None


def _xmp(container: Container, content: bytes) -> bytes | None:
    spot = single(container.spots(content), "xmp")
    return None if spot is None else container.packet(content, spot)


def _has_c2pa(container: Container, content: bytes) -> bool:
    if any(spot.slot == "c2pa" for spot in container.spots(content)):
        return True
    with suppress(NotEmbedded):
        return xmp.points_to_c2pa(_xmp(container, content) or b"")
    return False
