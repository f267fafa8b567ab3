"""The mark in a folder that makes it an export of ours: what was asked for, and whether that was finished."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.artifacts import write_whole
from batcher.artifacts.disk import disk, temp_beside
from batcher.artifacts.part import encode
from batcher.errors import UsageError

MARK = ".batcher-export"
FORMAT = "batcher-export/1"


def look(folder: Path, run: Path) -> dict[str, Any] | None:
    """What is known of an export at ``folder``, None where one may be made. Raises UsageError; touches nothing."""
    if folder.absolute().is_relative_to((run / "images").absolute()):
        raise UsageError(f"{folder} is in the run's own folder of images", hint="Choose a folder outside of it.")
    with disk(str(folder)):
        if not folder.exists():
            return None
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder", hint="Nothing was touched. Choose another folder.")
        if (folder / MARK / "export.json").is_file():
            return read_mark(folder)
        rest = [item.name for item in folder.iterdir() if item.name != MARK]
    if rest:
        raise UsageError(
            f"{folder} is not empty and no export of batcher: it holds {rest[0]!r}",
            hint="Nothing was touched. Choose a new or empty folder.",
        )
    return None


def read_mark(folder: Path) -> dict[str, Any]:
    """Raises UsageError when there is none, or it can't be understood."""
    path = folder / MARK / "export.json"
    try:
        mark = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is no export of batcher: it has no {MARK}", hint="`batcher export` makes one."
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}", hint="Remove the folder and export anew.") from None
    if not isinstance(mark, dict) or mark.get("format") != FORMAT:
        raise UsageError(f"{path} is of another version of batcher", hint="Export to another folder.")
    return mark


def write_mark(folder: Path, mark: Mapping[str, Any], *, durable: bool = True) -> None:
    """durable: as what is finished has to be; while it is not, a power cut may take us back to an older mark."""
    path = folder / MARK / "export.json"
    text = json.dumps(mark, indent=2, ensure_ascii=False) + "\n"
    if durable:
        write_whole(path, [text])
        return
    with disk("export.json"):
        temp = temp_beside(path)
        temp.write_bytes(encode(text))
        temp.replace(path)
