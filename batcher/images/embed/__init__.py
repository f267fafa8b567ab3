"""Writes the metadata of an image into the image file. Its pixels are neither decoded nor encoded.

There are three layers. ``infotext`` and ``xmp`` make texts from a sidecar. ``exif`` puts a text into an EXIF block, for
JPEG and WebP. ``png``, ``jpeg`` and ``webp`` insert and replace pieces of a file. ``embed`` takes and gives bytes, and
``strip`` is its inverse.

The words of ``--embed``:

- ``infotext``: the text that AUTOMATIC1111's web UI writes. PNG: text chunk ``parameters``; JPEG and WebP:
  EXIF ``UserComment``.
- ``xmp``: an XMP packet with the prompt as description, the program, the time, and IPTC's fields on generated media.
- ``iptc``: an XMP packet with IPTC's fields alone. IPTC defines them in XMP only: its older binary block (IIM) has none
  of them, so that block is never written.
"""

from batcher.images.embed.embedding import at_arrival, embed, has_c2pa, strip
from batcher.images.embed.splice import NotEmbedded, Signed

__all__ = ["NotEmbedded", "Signed", "at_arrival", "embed", "has_c2pa", "strip"]
