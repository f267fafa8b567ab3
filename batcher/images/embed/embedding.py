"""Embeds metadata into a file and removes it again: finds the container, and whether the file may be changed.

What holds for ``embed`` and is tested: the decoded pixels and every piece that batcher did not write stay as they are;
embedding twice is the same as once; ``strip`` gives back the original file, unless that had an infotext itself, which
was replaced.
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
from batcher.store.prompts import with_prompt

if TYPE_CHECKING:
    from batcher.images.fetch import Embed


class Container(Protocol):
    """The functions of ``png``, ``jpeg`` and ``webp``, for files that were checked.

    spots: the pieces that matter here. packet: the text of one. write: the content with changes.
    """

    def spots(self, content: bytes, /) -> Iterator[Spot]: ...
    def packet(self, content: bytes, spot: Spot, /) -> bytes: ...
    def write(self, content: bytes, changes: Changes, /) -> bytes: ...


_CONTAINERS: dict[Kind, Container] = {PNG: png, JPEG: jpeg, WEBP: webp}


def embed(content: bytes, record: Mapping[str, Any], what: AbstractSet[str], *, force: bool = False) -> bytes:
    """``content`` with metadata in it. record: its sidecar. what: any of ``infotext``, ``xmp``, ``iptc``.

    force: also for a file with a C2PA manifest, for which Signed is raised otherwise. Raises NotEmbedded for a file
    that is damaged, that is no PNG, JPEG or WebP, or that has no room.
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
    """``content`` without what ``embed`` wrote. Raises NotEmbedded as ``embed`` does."""
    with _opened(content) as container:
        return container.write(content, {"infotext": None, "xmp": xmp.without(_xmp(container, content))})


def has_c2pa(content: bytes) -> bool:
    """Whether a file has a C2PA manifest or a link to one; False for a file that can't be read."""
    with suppress(NotEmbedded), _opened(content) as container:
        return _has_c2pa(container, content)
    return False


def at_arrival(wanted: AbstractSet[str], prompt_input: str | None = "prompt") -> "Embed | None":
    """A function for ``Downloader`` that embeds by the words of ``--embed``; None if they ask for nothing.

    prompt_input: what the model calls the input of prompts.

    An image that can't be changed is kept as it was received, with a warning.
    """
    what, force = wanted - {"signed"}, "signed" in wanted

    def embed_and_warn(content: bytes, record: Mapping[str, Any]) -> tuple[bytes, str | None]:
        record = {**record, "inputs": with_prompt(record["inputs"], prompt_input)}
        try:
            embedded = embed(content, record, what, force=force)
        except Signed:
            return content, f"{CARRIES_C2PA}: nothing was embedded"
        except NotEmbedded as refusal:
            return content, f"nothing was embedded: {refusal}"
        return embedded, f"{CARRIES_C2PA}, which no longer holds" if force and has_c2pa(content) else None

    return embed_and_warn if what else None


@contextmanager
def _opened(content: bytes) -> Iterator[Container]:
    """The container of a file, which is whole. Damage, here or inside the block, becomes NotEmbedded."""
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
