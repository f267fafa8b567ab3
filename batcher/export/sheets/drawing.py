"""Draws the contact sheets of a run to files, one page in memory at a time, for ``batcher grid``."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from batcher.core.errors import FileRefused, UsageError
from batcher.core.naming import prompt_id, safe_part, short
from batcher.core.units import show_count
from batcher.export.matching import JobFilter
from batcher.export.sheets import FORMATS
from batcher.export.sheets.axes import choose
from batcher.export.sheets.faces import Faces
from batcher.export.sheets.gather import Sheet, gather, sheet_of, survey
from batcher.export.sheets.page import Painter
from batcher.export.sheets.table import Layout, Page
from batcher.export.sheets.text import Writer
from batcher.manifest.extras import install_command
from batcher.runner.progress import Meter, Progress
from batcher.store import read_facts
from batcher.store.files.disk import disk
from batcher.store.files.whole import write_whole

FOLDER = "grid"
_BY_PACKAGE = frozenset({"CJK", "Hiragana", "Katakana", "Hangul", "Fullwidth", "Ideographic", "Devanagari", "Thai"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to draw.

    rows, cols: names of axes; None: chosen by what varies.
    per: names whose values each get a sheet; empty: chosen too; ``none``: one sheet.
    out: a folder, or a file that ends in a format; None: FOLDER in the run directory.
    form: None: by ``out``, else PNG.
    size: longest side of an image in pixels.
    limit: most sheets.
    where: an expression that selects jobs.
    """

    rows: str | None = None
    cols: str | None = None
    per: tuple[str, ...] = ()
    out: Path | None = None
    form: Literal["png", "webp"] | None = None
    size: int = 256
    limit: int | None = None
    where: str | None = None


def draw(
    run_dir: Path, connection: sqlite3.Connection, wanted: Wanted, *,
    faces: Faces | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Draws the sheets and returns a report as JSON data: ``files`` has an entry for each page, ``gaps`` the number of
    missing images by the word of their mark.

    Raises UsageError before anything is written, and DiskError.
    """
    began = time.monotonic()
    where = JobFilter(wanted.where, run_dir, connection)
    seen = survey(connection, where)
    if not seen.jobs:
        raise _nothing_to_draw(run_dir, wanted)
    plan = choose(seen, wanted.rows, wanted.cols, wanted.per)
    groups = gather(connection, plan, seen, where)[: wanted.limit]
    target = _Target(run_dir, wanted, len(groups))
    facts, jobs = read_facts(connection), sum(len(group.jobs) for group in groups)
    writer = Writer(faces or Faces())
    painter = Painter(run_dir, writer)
    gaps: Counter[str] = Counter()
    files: list[dict[str, Any]] = []
    images = 0
    with closing(Meter(jobs, progress)) as meter:
        for number, group in enumerate(groups, 1):
            sheet = sheet_of(connection, group)
            gaps += sheet.gaps
            images += sheet.images
            layout = Layout(sheet, wanted.size, writer)
            tick = partial(meter.add, sheet.jobs / sheet.tiles)
            for page in layout.pages(_subtitle(sheet, simulated=bool(facts.simulated))):
                target.refuse_several(page.pages, "pages")
                files.append(target.save(sheet, number, page, painter.paint(page, layout.style, tick)))
    gaps += Counter(unreadable=painter.unreadable)
    waiting = (facts.total or 0) - seen.jobs if wanted.where is None else 0
    return {
        "out": str(target.folder), "rows": plan.rows, "cols": plan.cols, "per": list(plan.per), "jobs": jobs,
        "sheets": len(groups), "pictures": images - painter.unreadable, "gaps": dict(gaps),
        "seconds": round(time.monotonic() - began, 3),
        "warnings": [*_warnings(writer, plan.hidden, waiting), *where.warnings()], "files": files,
    }  # fmt: skip


def _nothing_to_draw(run_dir: Path, wanted: Wanted) -> UsageError:
    what = "no job of the run is selected" if wanted.where else "no job has started yet"
    return UsageError(f"{run_dir}: {what}, so there is nothing to draw", hint="`batcher status` shows what there is.")


class _Target:
    """Where pages are written. Raises UsageError where they have no place.

    run_dir: the default place is below it. wanted: the options. sheets: the number of sheets to come.
    """

    def __init__(self, run_dir: Path, wanted: Wanted, sheets: int) -> None:
        out = wanted.out or run_dir / FOLDER
        ending = out.suffix.lower().removeprefix(".")
        self._single = out if ending in FORMATS and not out.is_dir() else None
        self._form = wanted.form or (ending if self._single else FORMATS[0])
        self.folder = out.parent if self._single else out
        if self._single and self._form != ending:
            raise UsageError(f"{out} ends in .{ending}, but --format says {self._form}", hint="Leave out one of them.")
        self.refuse_several(sheets, "sheets")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not a folder", hint="Choose another with -o.")
        self._used: set[str] = set()

    def save(self, sheet: Sheet, number: int, page: Page, image: Image.Image) -> dict[str, Any]:
        """Write a page of the ``number``-th sheet, and give its entry in the report. Raises UsageError, DiskError.

        The same pixels give the same file.
        """
        path = self._single or self.folder / f"{self._stem(sheet, number, page)}.{self._form}"
        # PNG of photographs is a third smaller than at level 6, and three times as fast.
        how = {"quality": 88, "method": 4} if self._form == "webp" else {"compress_level": 2}
        buffer = BytesIO()
        image.save(buffer, self._form, **how)
        with disk(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            write_whole(path, [buffer.getvalue()])
        except FileRefused as refused:
            raise UsageError(refused.cause.message, hint="Choose another name with -o.") from None
        return {
            "file": str(path), **sheet.facts, "page": page.number, "pages": page.pages, "width": page.width,
            "height": page.height, "bytes": buffer.tell(),
        }  # fmt: skip

    def _stem(self, sheet: Sheet, number: int, page: Page) -> str:
        values = sheet.facts["per"].values()
        name = sheet.name or "_".join("none" if value is None else short(value) for value in values)
        if page.number == 1 and sheet.name in self._used:  # another prompt with the same id
            sheet.name = name = f"{name}_{prompt_id(str(sheet.facts['per'].get('prompt')))}"
        self._used |= {sheet.name} - {""}
        stem = f"{number:05d}-{safe_part(name, limit=100)}" if name else "sheet"
        return f"{stem}-p{page.number:02d}" if page.pages > 1 else stem

    def refuse_several(self, count: int, what: str) -> None:
        """Raises UsageError if they are to go into one file."""
        if self._single and count > 1:
            raise UsageError(
                f"{self._single} is one file, and there are {count:,} {what} to draw",
                hint="Give a folder with -o, or choose less with --where, --limit, --per none or a smaller --size.",
            )


def _subtitle(sheet: Sheet, *, simulated: bool) -> str:
    words = [
        sheet.facts["prompt_id"], sheet.facts["model"], show_count(sheet.images, "image"),
        ", ".join(f"{count:,} {word}" for word, count in sorted(sheet.gaps.items())), "simulated" if simulated else "",
    ]  # fmt: skip
    return "  ·  ".join(filter(None, words))


def _warnings(writer: Writer, hidden: tuple[str, ...], waiting: int) -> Iterator[str]:
    """hidden: names that vary within a cell. waiting: number of jobs that have not started."""
    for script, char in writer.missing.items():
        yield f"No font here has {script} ({char}): boxes are drawn in its place. {_fix(script)}"
    if writer.unshaped:
        yield "Pillow here was built without Raqm: Arabic, Indic and Thai letters are not joined. Install its wheel."
    if hidden:
        *names, last = hidden
        words = f"{', '.join(names)} and {last} vary too: name them" if names else f"{last} varies too: name it"
        yield f"Within a cell, {words} with --rows, --cols or --per to tell the images apart."
    if waiting > 0:
        unknown = show_count(waiting, "job has not started yet and is", "jobs have not started yet and are")
        yield f"{unknown} not shown."


def _fix(script: str) -> str:
    if script in _BY_PACKAGE:
        return f"Install them: `{install_command('grid')}`"
    if script == "emoji":
        return "Install a font with outlines of them, like Symbola or the monochrome Noto Emoji."
    return f"Install a font for it, like Noto Sans {script}."
