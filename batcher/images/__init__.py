"""The folder of images: fetching files, checking them, and putting them on disk whole or not at all.

``trust`` says where a file may come from, ``fetch`` gets it, ``body`` holds it while it arrives, ``check`` (over
``kinds`` and ``structure``) says whether it is what it claims to be, ``place`` puts it and its sidecar in their place.

What is named here is loaded when it is asked for: the libraries for HTTP and pictures take a third of a second, and
whoever only writes a file needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.images.check import CheckDepth, Limits
    from batcher.images.fetch import Downloader, Dress
    from batcher.images.trust import Trust
    from batcher.images.whole_job import fetch_all

__all__ = ["CheckDepth", "Downloader", "Dress", "Limits", "Trust", "fetch_all"]

_HOMES = {
    "CheckDepth": "check",
    "Limits": "check",
    "Downloader": "fetch",
    "Dress": "fetch",
    "Trust": "trust",
    "fetch_all": "whole_job",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
