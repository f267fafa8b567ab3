"""The page without a server: ``batcher view RUN --export DIR`` writes files that a browser opens from disk or the web.

The JavaScript modules of the page are joined into a plain script, because browsers load no modules from ``file://``.
The data is a second script. There are thumbnails, and the images as links or copies. Verdicts made on this page stay in
the browser until they are saved as a file for ``batcher pick --from``.
"""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

from batcher.core.errors import DiskError, UsageError
from batcher.core.units import show_bytes, show_count
from batcher.images.flagging import flag_all
from batcher.images.storage import reader_of
from batcher.images.thumbnail import make
from batcher.store import connect_to_read, viewing
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, SafeReader
from batcher.store.files.whole import write_whole
from batcher.store.prompts import Prompts
from batcher.store.viewing import JobRow
from batcher.view import details, filtering, words
from batcher.view.columns import inputs_of
from batcher.view.run_reader import RunReader
from batcher.view.server import PAGE
from batcher.view.thumbs import place

MARKER = ".batcher-page"  # marks a folder that was written here, and may be overwritten
ORDER = ("dom", "keys", "layout", "model", "net", "where", "wall", "loupe", "overview", "panel", "app")
_IMPORT = re.compile(r'^import (.*?) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:async )?(?:function|const) (\$|\w+)", re.MULTILINE)


def export(run_dir: Path, folder: Path) -> str:
    """Write the page of a run to a folder; gives a summary for the user. Raises UsageError, DiskError."""
    if folder.exists() and not (folder / MARKER).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty and is not a page made by batcher", hint="Choose a new folder.")
    with closing(RunReader(run_dir)) as reader:
        try:
            return _written(reader, folder)
        except OSError as error:
            raise DiskError(f"{folder} can't be written: {error}", hint="Free some space, and run it again.") from None


def _written(reader: RunReader, folder: Path) -> str:
    (folder / "thumbs").mkdir(parents=True, exist_ok=True)
    write_whole(folder / MARKER, [""])
    index = reader.load()
    safe = reader_of(reader.run_dir)
    rows = [row for row in viewing.rows(reader.connection) if row.sha256]
    with ThreadPoolExecutor(2) as pool:  # Pillow releases the interpreter lock
        kept = list(pool.map(lambda row: _files(reader.run_dir, safe, row, folder), rows))
    with closing(connect_to_read(reader.run_dir)) as connection:
        seen = flag_all(reader.run_dir, connection).flags
    index["flags"] = [[job, output, flags] for (job, output), flags in seen.items()]
    facts = {**index["facts"], "run": reader.run_dir.name, "going": False, "resume": None, "control_history": []}
    index["facts"] = {**facts, "words": {**facts["words"], **words.overview(facts)}}
    data = {
        "runs": {"read_only": False, "many": False, "runs": [{"name": reader.run_dir.resolve().name}]},
        "index": {"at": "static.0", **index},
        **dict(_jobs(reader)),
        "files": {f"{row.key}.{row.output_index}": row.file for row in rows},
        "shas": {f"{row.key}.{row.output_index}": row.sha256 for row in rows},
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    write_whole(folder / "data.js", ["globalThis.BATCHER=", text, ";\n"])
    write_whole(folder / "page.js", [script()])
    for name in ("style.css", "icon.svg"):
        shutil.copyfile(PAGE / name, folder / name)
    write_whole(folder / "index.html", [_html()])
    missing = kept.count(False)
    lost = f" {show_count(missing, 'image was', 'images were')} missing or damaged and left out." if missing else ""
    size = sum(row.bytes or 0 for row, there in zip(rows, kept, strict=True) if there)
    return (
        f"{show_count(len(rows) - missing, 'image')}, {show_bytes(size)}, in {folder}/index.html.{lost}\n"
        "Verdicts made there come back: Save verdicts, then batcher pick RUN --from picks.jsonl"
    )


def _files(run_dir: Path, safe: SafeReader, row: JobRow, folder: Path) -> bool:
    """Write the thumbnail and the file of an image. False if the image is missing or damaged."""
    small = folder / "thumbs" / f"{row.key}.{row.output_index}.webp"
    try:
        source = safe.regular(row.file or "")
        if source.stat().st_size != row.bytes:
            return False
        cached = place(run_dir, row.sha256 or "")
        if cached.is_file() and not cached.is_symlink():
            _link_or_copy(cached, small)
        elif not small.exists():
            make(source, small)
        target = folder / (row.file or "")
        target.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(source, target)
    except (Absent, NotAFile, Outside, ValueError, SyntaxError, EOFError):
        return False
    except OSError as error:
        if error.errno is not None:
            raise  # of the disk, not of the image
        return False
    return True


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except FileExistsError:  # another thread has just made it, for the same content
        pass
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _jobs(reader: RunReader) -> Iterator[tuple[str, dict[str, Any]]]:
    prompts = Prompts(reader.run_dir)
    for key, rows in groupby(viewing.rows(reader.connection), key=lambda row: row.key):
        group = list(rows)
        shown = prompts.inputs(group[0].id, inputs_of(group[0]))
        inputs = {f"inputs.{name}": value for name, value in shown.items()}
        outputs = {str(row.output_index or 0): inputs | filtering.facts_of(row) for row in group}
        yield f"job/{key}", {**details.of(group, prompts), "outputs": outputs}


def script() -> str:
    """All modules as one plain script: each is a function, called at once, that returns what it exports."""
    parts = []
    for name in ORDER:
        text = (PAGE / f"{name}.js").read_text(encoding="utf-8")
        given = ", ".join(_EXPORTED.findall(text))
        text = _EXPORT.sub("", _IMPORT.sub(r"const \1 = $\2;", text.replace("import * as ", "import ")))
        parts.append(f"const ${name} = (() => {{\n{text}\nreturn {{ {given} }};\n}})();\n")
    return "".join(parts)


def _html() -> str:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    module = '<script type="module" src="page/app.js"></script>'
    assert module in text
    scripts = '<script src="data.js" defer></script>\n<script src="page.js" defer></script>'
    return text.replace(module, scripts).replace('="page/', '="')
