"""Whether a path stays inside its folder: the one check of names and of links.

A name from outside (a manifest, a sidecar, a state file that somebody changed) is first ``plain``: parts between ``/``,
none of which leads up or nowhere. Then no link on the way may lead out of the folder: ``leads_inside``.
"""

import os
from pathlib import Path

_MOST = 4_096  # folders: a run may have one for each of a million prompts


def is_plain(name: str) -> bool:
    """Whether a name (``/`` between parts) can only mean something below the folder it is relative to."""
    return not {"", ".", ".."} & set(name.split("/")) and "\0" not in name


def leads_inside(path: str | Path, *roots: str) -> bool:
    """Whether ``path``, all links followed, is one of ``roots`` (real paths) or below one."""
    real = os.path.realpath(path)
    return any(real == root or real.startswith(os.path.join(root, "")) for root in roots)  # noqa: PTH118


class Folders:
    """Which folders below ``base`` lead to one of ``roots`` or below it; remembers what it saw. For many threads."""

    def __init__(self, base: str | Path, *roots: str | Path) -> None:
        self.base = str(base)
        self.roots = tuple(os.path.realpath(root) for root in roots or (base,))
        self._seen: dict[str, bool] = {}

    def is_inside(self, folder: str) -> bool:
        """folder: relative to ``base``, ``/`` between parts."""
        inside = self._seen.get(folder)
        if inside is None:
            if len(self._seen) >= _MOST:
                self._seen.clear()
            inside = self._seen[folder] = leads_inside(f"{self.base}/{folder}", *self.roots)
        return inside
