"""What the programs that read infotexts find in the pictures of an export or a run."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import tee
from pathlib import Path
from typing import Any

from batcher.export.embed_metadata import MetadataEmbedder
from batcher.export.exporting import KINDS
from batcher.export.marker_file import read_marker
from batcher.export.request import Options, Order, ordered
from batcher.export.selection import Selection
from batcher.export.target import FileTarget
from batcher.store import connect_to_read, exporting, has_state
from tests.support.embedded import InfotextCheck, check_infotext

SHOWN = 5  # examples
Pair = tuple[Path, Mapping[str, Any]]


def check(folder: Path) -> dict[str, Any]:
    """The report of ``checking.check``. folder: an export of files, or a run directory. Raises UsageError."""
    began = time.monotonic()
    order, marker = _of_run(folder) if has_state(folder) else _of_export(folder)
    with closing(connect_to_read(order.run)) as connection, exporting.snapshot(connection):
        selection = Selection(order, connection)
        total = sum(1 for _ in selection.first_look())
        assert total
        files, records = tee(_pairs(order, selection, marker))
        result = check_infotext((file for file, _ in files), (record for _, record in records))
    return _report(folder, order, marker, result, selection, time.monotonic() - began)


def _of_run(folder: Path) -> tuple[Order, None]:
    return ordered(folder, folder, Options(to="captions", embed="infotext")), None


def _of_export(folder: Path) -> tuple[Order, Mapping[str, Any]]:
    marker = read_marker(folder)
    return ordered(Path(marker["run"]), folder, Options(**marker["options"])), marker


def _pairs(order: Order, selection: Selection, marker: Mapping[str, Any] | None) -> Iterator[Pair]:
    embedder = MetadataEmbedder(order.run, order.words, simulated=selection.simulated)
    target = None if marker is None else KINDS[marker["target"]](order, selection)
    assert target is None or isinstance(target, FileTarget)
    for sample in selection.again():
        file = Path(selection.path(sample.image)) if target is None else order.folder / target.name(sample)
        yield file, embedder.record(sample)


def _report(
    folder: Path, order: Order, marker: Mapping[str, Any] | None, result: InfotextCheck, selection: Selection,
    seconds: float,
) -> dict[str, Any]:  # fmt: skip
    findings: dict[str, Any] = {}
    if marker is not None and not marker.get("complete"):
        examples = ["the export was interrupted; the same export command goes on with it"]
        findings["unfinished"] = {"count": 1, "examples": examples}
    if result.wrong:
        findings["infotext differs"] = {"count": result.wrong, "examples": result.findings[:SHOWN]}
    if missing := selection.left["missing or damaged"]:
        findings["missing"] = {"count": missing, "examples": selection.missing}
    return {
        "export": str(folder),
        "as": "infotext",
        "run": str(order.run),
        "expected": result.files + missing,
        "seen": result.files,
        "splits": {},
        "reader": [
            f"{name}: {count:,} of {result.files:,} as their sidecars say" for name, count in result.readers.items()
        ],
        "notes": list(_notes(result)),
        "findings": findings,
        "seconds": round(seconds, 3),
        "exit_code": 3 if findings else 0,
    }


def _notes(result: InfotextCheck) -> Iterator[str]:
    if result.missing:
        yield f"not asked, since they are not installed: {', '.join(result.missing)}"
    if result.out_of_reach:
        yield f"{result.out_of_reach:,} could not be read for the reader's own sake, whoever wrote them"
