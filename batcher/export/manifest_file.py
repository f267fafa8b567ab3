"""``manifest``: the jobs of the selected images as a prompt file for ``batcher run``, on this or another model.

A job is one line, also if it has several images. Lines have the form of ``records.jsonl``, which keeps inputs, meta and
prompt ids exactly.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.errors import UsageError
from batcher.core.json_text import as_json
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.store import connect_to_read, exporting
from batcher.store.files.disk import disk
from batcher.store.files.whole import write_whole
from batcher.store.joined import name_of, runs_of

NAME = "prompts.jsonl"  # name of the file if a folder is given
_ENDINGS = frozenset({".jsonl", ".ndjson"})


def export_manifest(order: Order, *, replace: bool) -> dict[str, Any]:
    """Write the prompt file. The report, which is JSON data, says what was written and what was left out.

    replace: whether an existing file may be replaced. Raises UsageError, DiskError.
    """
    began = time.monotonic()
    path = order.folder if order.folder.suffix.lower() in _ENDINGS else order.folder / NAME
    if path.is_dir() or path.parent.resolve() in {run.resolve() for run in runs_of(order.run)}:
        raise UsageError(f"{path} can't be used for a new file", hint="Name a .jsonl file, or a folder beside the run.")
    if path.exists() and not replace:
        raise UsageError(f"{path} already exists", hint="Nothing was touched. Choose another, or add --replace.")
    with closing(connect_to_read(order.run)) as connection, exporting.snapshot(connection):
        selection, names = Selection(order, connection), set[str | None]()
        lines = list(_lines(selection, names))
    models = sorted({line["model"] for line in lines})
    if not lines:
        raise UsageError(
            f"no image of {name_of(order.run)} matches, so there is no prompt to write",
            hint="\n".join([*selection.warnings, "Nothing was written."]),
        )
    with disk(str(path.parent)):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (as_json(line) + "\n" for line in lines))
    on_one = command_line("run", path, "--model", "ID")
    named = ("--prompt-input", *names) if len(names) == 1 and not names & {"prompt", None} else ()
    notes = [f"run it: `{command_line('run', path, *named)}`; on another model: `{on_one}`"]
    if len(models) > 1:
        notes = [f"run it: `{on_one}`; it is of {len(models)} models ({', '.join(models)}), and one runs them all"]
    size = path.stat().st_size
    return selection.report(path, began, notes, jobs=len(lines), splits={"train": len(lines)}, bytes=size, written=1)


def _lines(selection: Selection, names: set[str | None]) -> Iterator[dict[str, Any]]:
    """The lines. names: gets what the models call the input of prompts."""
    last = ""
    for sample in selection.first_look():
        image = sample.image
        if image.key != last:
            last = image.key
            names.add(selection.prompts.name(image.job))
            yield {
                "schema": "batcher/1", "job": image.key, "model": image.model, "inputs": sample.inputs,
                "prompt_id": image.prompt_id, "meta": sample.meta,
                "source": {"manifest": image.source, "line": image.line}, **sample.given,
            }  # fmt: skip
