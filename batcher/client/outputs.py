"""Finds the files that the ``output`` of a result names. Pure.

Models use ``image``, ``images``, ``video``, ``videos``, ``audio``, ``audios``, a bare URL, a bare list, ``{"url"}``,
``{"uri"}``, ``{"image_url"}``, one file under two keys, and nested mixtures of all of them.
"""

import re
from typing import Any

from batcher.core.job import each_once

MOST_FILES = 100  # of one request; models make up to 16
_LINK = re.compile(r"https?://[!-.0-~]+(?:/|\Z)|data:[\w.+-]+/[\w.+-]+[;,]", re.ASCII)


def find_urls(output: Any) -> tuple[str, ...]:
    """The URLs of the files in an ``output``, in order, without duplicates: those under the keys above, else all.

    A URL is http(s) with an ASCII host, or a ``data:`` URI; it is returned as received.

    >>> find_urls({"images": [{"url": "https://cdn.example/a.png"}], "seed": 7})
    ('https://cdn.example/a.png',)
    """
    if isinstance(output, dict):
        named: list[str] = []
        for several, one in (("images", "image"), ("videos", "video"), ("audios", "audio")):
            named += _walk(output.get(several)) or _walk(output.get(one))
        if named:
            return each_once(named)[:MOST_FILES]
    return each_once(_walk(output))[:MOST_FILES]


def _walk(value: Any, depth: int = 8) -> list[str]:
    if isinstance(value, str):
        return [value] if _LINK.match(value) else []
    if depth == 0 or not isinstance(value, (dict, list)):
        return []
    inside = value.values() if isinstance(value, dict) else value
    return [url for item in inside for url in _walk(item, depth - 1)]
