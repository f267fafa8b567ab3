"""Runs an export: reads all selected images, refuses what can't be exported, then writes."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.core.units import show_count
from batcher.core.version import __version__
from batcher.export import upload
from batcher.export.captions import Captions
from batcher.export.folder import Folder, opened
from batcher.export.imagefolder import ImageFolder
from batcher.export.layout import LayoutTarget
from batcher.export.manifest_file import export_manifest
from batcher.export.marker_file import FORMAT, earlier_export
from batcher.export.pairs import Pairs
from batcher.export.parquet import Parquet
from batcher.export.request import Options, Order, ordered
from batcher.export.selection import Selection
from batcher.export.target import Target
from batcher.export.webdataset import WebDataset
from batcher.runner.progress import Meter, Progress
from batcher.store import connect_to_read, exporting
from batcher.store.joined import joined, name_of, runs_of

KINDS: dict[str, Callable[[Order, Selection], Target]] = {
    "imagefolder": ImageFolder,
    "webdataset": WebDataset,
    "parquet": Parquet,
    "captions": Captions,
    "layout": LayoutTarget,
    "pairs": Pairs,
}


def export_to(
    runs: Sequence[Path], place: str, options: Options, progress: Progress | None, *, replace: bool = False
) -> dict[str, Any]:
    """Export several runs as one, to a folder or the URL of a bucket. Gives and raises what ``export`` does."""
    with joined(runs) as whole:
        folder = upload.staging(whole.runs[0], place) if upload.is_url(place) else Path(place)
        order = ordered(whole.path, folder, options)
        with upload.named(folder, place):
            report = export(order, progress, replace=replace)
    if upload.is_url(place):
        report |= {"export": place, "objects": upload.send(folder, place)}
    if whole.twice:
        are = show_count(whole.twice, "job is", "jobs are")
        report["notes"].append(f"{are} in more than one of these runs and exported once")
    return report


def export(order: Order, progress: Progress | None, *, replace: bool = False) -> dict[str, Any]:
    """Export a run to a folder. The report, which is JSON data, says what was done, and what was left out and why.

    replace: whether an export that was made with other options may be replaced. Only files that batcher wrote are
    removed. Raises UsageError, DiskError, BusyError.
    """
    if order.to == "manifest":
        return export_manifest(order, replace=replace)
    began = time.monotonic()
    marker = earlier_export(order.folder, runs_of(order.run))
    with closing(connect_to_read(order.run)) as connection, exporting.snapshot(connection):
        difference = _difference(order, marker) if marker is not None else ""
        if difference and not replace:
            raise UsageError(
                f"{order.folder} is an export {difference}",
                hint="Nothing was touched. Choose another folder, or add --replace to replace this one.",
            )
        selection = Selection(order, connection)
        target = KINDS[order.to](order, selection)
        for sample in selection.first_look():
            target.see(sample)
        _require_images(order, target, exporting.removed(connection))
        target.settle()
        # Files made with other options may be there, also if an earlier replacement was interrupted.
        is_anew = bool(difference or (marker or {}).get("anew"))
        with opened(order.folder, copy=order.copy, anew=is_anew) as folder:
            target.facts["digests"] = dict((marker or {}).get("digests", {}))
            folder.claim(_marker(order, target))
            with closing(Meter(sum(target.images.values()), progress)) as meter:
                target.write(folder, meter.show)
            folder.finish(_marker(order, target))
        return _report(order, target, folder, began, exporting.removed(connection))


def _difference(order: Order, marker: dict[str, Any]) -> str:
    """How the export in the folder differs from the order, as the end of a sentence; "" if it does not.

    It does not differ if runs were added to it, or were moved.
    """
    before = str(marker.get("run", "")).split(os.pathsep)
    if not set(before) <= set(_runs(order)) and any(Path(run).exists() for run in before):
        return f"of another run, {', '.join(before)}"
    was, now = marker.get("options", {}), dict(order.identity)
    changed = [
        f"--{name.replace('_', '-')} was {_shown(was.get(name))} and is {_shown(now.get(name))}"
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]
    return f"made with other options: {', '.join(changed)}" if changed else ""


def _runs(order: Order) -> list[str]:
    return [str(run.resolve()) for run in runs_of(order.run)]


def _shown(value: Any) -> str:
    return "not given" if value is None else "given" if value is True else one_line(str(value), 100)


def _require_images(order: Order, target: Target, removed: int) -> None:
    """Raises UsageError if there are no images to export. removed: jobs that are no longer in the manifest."""
    if target.images:
        return
    left = target.selection.left
    reasons = [f"{count:,} {reason}" for reason, count in left.items()]
    if removed and not order.include_removed:
        reasons.append(f"{removed:,} left the manifest (--include-removed takes them too)")
    if (without := target.selection.without).total():
        reasons.append(without_image(without, target.selection.jobs + without.total()))
    if order.where is not None:
        reasons += ["--where matches none of the rest", *target.selection.warnings]
    why = f": {'; '.join(reasons)}" if reasons else ": nothing is finished yet"
    raise UsageError(f"there is nothing to export in {name_of(order.run)}{why}", hint="Nothing was written.")


def without_image(by_state: Mapping[Any, int], jobs: int) -> str:
    """``13 of 40 jobs have no image (12 failed, 1 in doubt)``. by_state: of those without one. jobs: in all."""
    states = ", ".join(f"{n:,} {str(state).replace('_', ' ')}" for state, n in by_state.items() if n)
    count = sum(by_state.values())
    return f"{count:,} of {show_count(jobs, 'job')} {'has' if count == 1 else 'have'} no image ({states})"


def _marker(order: Order, target: Target) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "batcher": __version__,
        "target": order.to,
        "run": os.pathsep.join(_runs(order)),
        "options": dict(order.identity),
        "pictures": dict(target.images),
        "columns": {name: str(kind) for name, kind in target.columns.kinds().items()},
        **target.facts,
    }


def _report(order: Order, target: Target, folder: Folder, began: float, removed: int) -> dict[str, Any]:
    selection, done, embedder = target.selection, folder.done, target.embedder
    without = selection.without.total()
    if removed and not order.include_removed:
        selection.left["no longer in the manifest"] = removed
    return selection.report(
        order.folder, began, target.notes, pictures=sum(target.images.values()), splits=dict(target.images),
        bytes=target.bytes, linked=done["link"], copied=done["copy"], written=done["written"], unchanged=done["same"],
        removed=done["removed"], jobs=selection.jobs + without, without_picture=without,
        without_picture_by_state={str(state): count for state, count in selection.without.items() if count},
        not_embedded=embedder.refused if embedder else 0, not_embedded_examples=embedder.examples if embedder else [],
        exit_code=3 if selection.missing or (without and not order.allow_missing) else 0,
        **{name: value for name, value in target.facts.items() if name != "digests"},
    )  # fmt: skip
