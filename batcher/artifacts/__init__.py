"""The folder of images: fetching files, checking them, and putting them on disk whole or not at all.

``trust`` says where a file may come from, ``fetch`` gets it, ``body`` holds it while it arrives, ``check`` (over
``kinds`` and ``structure``) says whether it is what it claims to be, ``place`` puts it and its sidecar in their place.
"""

from batcher.artifacts.check import CheckDepth, Limits
from batcher.artifacts.fetch import Downloader, Dress
from batcher.artifacts.place import write_whole
from batcher.artifacts.trust import Trust
from batcher.artifacts.whole_job import fetch_all

__all__ = ["CheckDepth", "Downloader", "Dress", "Limits", "Trust", "fetch_all", "write_whole"]
