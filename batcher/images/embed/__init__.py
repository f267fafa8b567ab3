"""What batcher knows about a picture, written into the picture itself, without touching a pixel.

Three layers. ``infotext`` and ``xmp`` make the texts out of a sidecar; ``exif`` puts a text where JPEG and WebP keep
theirs; ``png``, ``jpeg`` and ``webp`` cut a file between its pieces and put new ones in. Nothing here decodes or
encodes a picture, all of it is bytes to bytes, and ``strip`` is the way back.

What goes where, in all three containers:

- ``infotext``: the text that AUTOMATIC1111's web UI made customary. PNG: text chunk ``parameters``; JPEG and WebP:
  EXIF ``UserComment``.
- ``xmp``: an XMP packet with the prompt as description, the program, the time, and IPTC's fields on generated media.
- ``iptc``: of that packet IPTC's fields alone. IPTC defines them in XMP only: its older binary block (IIM) has no place
  for any of them, and of the three containers only JPEG has a place for that block. So it is never written.
"""

from batcher.images.embed.embedding import at_arrival, embed, has_c2pa, strip
from batcher.images.embed.splice import NotEmbedded, Signed

__all__ = ["NotEmbedded", "Signed", "at_arrival", "embed", "has_c2pa", "strip"]
