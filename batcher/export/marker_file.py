"""The marker file of an export folder: a file with the options of the export, and whether it is complete."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.export import TARGETS
from batcher.export.request import Options
from batcher.store.files.disk import disk
from batcher.store.files.whole import write_whole

MARKER = ".batcher-export"
FORMAT = "batcher-export/1"
_OF_THE_RUN = ("images", "lost+found")  # folders of a run directory that hold its images
_FACTS = {"target": str, "run": str, "options": dict, "pictures": dict}
_OPTIONS = frozenset(field.name for field in fields(Options))


def earlier_export(folder: Path, runs: Iterable[Path]) -> dict[str, Any] | None:
    """The marker of the export at ``folder``; None if there is none and one can be made there. Changes nothing.

    runs: run directories, inside which an export must not be. Raises UsageError if no export can be made there.
    """
    place = folder.resolve()
    for run in runs:
        for own in _OF_THE_RUN:  # verify and repair would treat the export as the run's images, and move them
            if place.is_relative_to((run / own).resolve()):
                raise UsageError(f"{folder} is in the run's own folder {own}", hint="Choose a folder outside of it.")
    with disk(str(folder)):
        if folder.is_symlink() and not folder.exists():
            raise UsageError(
                f"{folder} is a link whose target does not exist", hint="Remove the link, or mount its target."
            )
        if not folder.exists():
            return None
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder", hint="Nothing was touched. Choose another folder.")
        if (folder / MARKER / "export.json").is_file():
            return read_marker(folder)
        for item in folder.iterdir():
            if item.name != MARKER:
                raise UsageError(
                    f"{folder} is not empty and is not an export made by batcher: it holds {item.name!r}",
                    hint="Nothing was touched. Choose a new or empty folder.",
                )
    return None


def read_marker(folder: Path) -> dict[str, Any]:
    """The marker of an export. Raises UsageError if there is none, or it can't be read."""
    path = folder / MARKER / "export.json"
    try:
        marker = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is not an export made by batcher: it has no {MARKER}", hint="`batcher export` makes one."
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}", hint="Remove the folder and export again.") from None
    if not isinstance(marker, dict) or marker.get("format") != FORMAT or not _is_ours(marker):
        raise UsageError(f"{path} was changed, or is of another version of batcher", hint="Export to another folder.")
    return marker


def _is_ours(marker: Mapping[str, Any]) -> bool:
    if not all(isinstance(marker.get(name), kind) for name, kind in _FACTS.items()):
        return False
    options: Mapping[str, Any] = marker["options"]
    return marker["target"] == options.get("to") and marker["target"] in TARGETS and options.keys() <= _OPTIONS


def write_marker(folder: Path, marker: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write the marker file. durable: whether to force it to the disk, which only that of a complete export needs."""
    path = folder / MARKER / "export.json"
    text = json.dumps(marker, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, [text], durable=durable)
