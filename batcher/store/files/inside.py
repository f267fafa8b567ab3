"""Checks that a path stays inside its folder.

A name from outside (a manifest, a sidecar, a changed state file) takes two checks. ``is_plain``: no part of it is
empty or leads up. ``leads_inside``: no link on the way leads out of the folder.
"""

import os
from pathlib import Path

_MOST = 4_096  # folders remembered: a run may have a million


def is_plain(name: str) -> bool:
    """Whether a relative name (``/`` between parts) can only be below its folder."""
    return not {"", ".", ".."} & set(name.split("/")) and "\0" not in name


def leads_inside(path: str | Path, *roots: str) -> bool:
    """Whether ``path``, with all links followed, is one of ``roots`` (real paths) or below one."""
    real = os.path.realpath(path)
    return any(real == root or real.startswith(os.path.join(root, "")) for root in roots)  # noqa: PTH118


class Folders:
    """Checks folders with ``leads_inside`` and remembers the results. May be used from many threads.

    base: the folder that names are relative to. roots: where they may lead; ``base`` itself if there are none.
    """

    def __init__(self, base: str | Path, *roots: str | Path) -> None:
        self.base = str(base)
        self.roots = tuple(os.path.realpath(root) for root in roots or (base,))
        self._seen: dict[str, bool] = {}

    def is_inside(self, folder: str) -> bool:
        """Whether a folder leads to one of the roots. folder: relative to ``base``, ``/`` between parts."""
        inside = self._seen.get(folder)
        if inside is None:
            if len(self._seen) >= _MOST:
                self._seen.clear()
            inside = self._seen[folder] = leads_inside(f"{self.base}/{folder}", *self.roots)
        return inside
