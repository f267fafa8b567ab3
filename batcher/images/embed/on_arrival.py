"""Embedding at run: into a picture that has just arrived and passed its check, before it goes to the disk.

A picture that nothing can be written into is kept as it came, with a note. Nothing here fails a job: it was paid for.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from batcher.core.job import CARRIES_C2PA
from batcher.images.embed.embedding import embed, has_c2pa
from batcher.images.embed.splice import NotEmbedded, Signed

if TYPE_CHECKING:
    from batcher.images.fetch import Dress


def at_arrival(wanted: AbstractSet[str]) -> "Dress | None":
    """What does it, by the words of ``--embed`` (``settings.parse_embed``); None when nothing is wanted."""
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
