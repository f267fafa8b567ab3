"""``batcher grid`` without its command line: from a run directory to files, one page in memory at a time."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from batcher.core.errors import FileRefused, UsageError
from batcher.core.naming import prompt_id, safe_part, short
from batcher.core.units import show_count
from batcher.export.sheets.axes import Plan, choose
from batcher.export.sheets.faces import Faces
from batcher.export.sheets.gather import Sheet, gather, sheet_of, survey
from batcher.export.sheets.layout import Layout, Page
from batcher.export.sheets.page import Painter
from batcher.export.sheets.text import Writer
from batcher.export.viewed import JobFilter
from batcher.manifest.extras import install_command
from batcher.runner.progress import Meter, Progress
from batcher.store import read_facts
from batcher.store.files.disk import disk
from batcher.store.files.whole import write_whole

FORMATS = ("png", "webp")
FOLDER = "grid"
_BY_PACKAGE = frozenset({"CJK", "Hiragana", "Katakana", "Hangul", "Fullwidth", "Ideographic", "Devanagari", "Thai"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """rows, cols, per: names of axes; None and () are found by looking. out: a folder, or a file that ends in a format.

    size: the longest side of a picture, in pixels. limit: only so many sheets.
    """

    rows: str | None = None
    cols: str | None = None
    per: tuple[str, ...] = ()
    out: Path | None = None
    form: Literal["png", "webp"] | None = None
    size: int = 256
    limit: int | None = None
    where: str | None = None


@dataclass(slots=True)
class Drawn:
    """What came of it. gaps: by what they say. files: one entry a page."""

    plan: Plan
    folder: Path
    jobs: int
    sheets: int = 0
    pictures: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    files: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def draw(
    run_dir: Path, connection: sqlite3.Connection, wanted: Wanted, *,
    faces: Faces | None = None, progress: Progress | None = None,
) -> Drawn:  # fmt: skip
    """Raises UsageError before anything is written, DiskError."""
    began = time.monotonic()
    where = JobFilter(wanted.where, run_dir, connection)
    seen = survey(connection, where)
    if not seen.jobs:
        what = "no job of the run is selected" if wanted.where else "no job has started yet"
        raise UsageError(
            f"{run_dir}: {what}, so there is nothing to draw", hint="`batcher status` shows what there is."
        )
    plan = choose(seen, wanted.rows, wanted.cols, wanted.per)
    groups = gather(connection, plan, seen, where)[: wanted.limit]
    target = _Target(run_dir, wanted, len(groups))
    drawn = Drawn(plan, target.folder, sum(len(group.jobs) for group in groups))
    writer = Writer(faces or Faces())
    facts = read_facts(connection)
    with closing(Meter(drawn.jobs, progress)) as meter:
        sheets = (sheet_of(connection, group) for group in groups)
        _draw_all(run_dir, sheets, target, drawn, writer, meter, simulated=bool(facts.simulated))
    drawn.warnings += _warnings(drawn, writer)
    if wanted.where is None and (unknown := (facts.total or 0) - seen.jobs) > 0:
        jobs = show_count(unknown, "job has not started yet and is", "jobs have not started yet and are")
        drawn.warnings.append(f"{jobs} not shown.")
    drawn.warnings += where.warnings()
    drawn.seconds = time.monotonic() - began
    return drawn


def _draw_all(
    run_dir: Path, sheets: Iterator[Sheet], target: "_Target", drawn: Drawn, writer: Writer, meter: Meter, *,
    simulated: bool,
) -> None:  # fmt: skip
    painter = Painter(run_dir, writer)
    for number, sheet in enumerate(sheets, 1):
        layout = Layout(sheet, target.wanted.size, writer)
        gaps = Counter(tile.word for cell in sheet.cells.values() for tile in cell if not tile.file)
        tiles = sum(map(len, sheet.cells.values()))
        pictures = tiles - gaps.total()
        for page in layout.pages(_subtitle(sheet, pictures, gaps, simulated=simulated)):
            file = target.file(sheet, number, page)
            size = _write(file, painter.paint(page, layout.style, partial(meter.add, sheet.jobs / tiles)), target.form)
            drawn.files.append(
                {
                    "file": str(file), **sheet.facts, "page": page.number, "pages": page.pages, "width": page.width,
                    "height": page.height, "bytes": size,
                }
            )  # fmt: skip
        drawn.sheets += 1
        drawn.pictures += pictures
        drawn.gaps += gaps
    if painter.unreadable:
        drawn.pictures -= painter.unreadable
        drawn.gaps["unreadable"] = painter.unreadable


class _Target:
    """Where pages go. sheets: how many there will be."""

    def __init__(self, run_dir: Path, wanted: Wanted, sheets: int) -> None:
        self.wanted = wanted
        out = wanted.out or run_dir / FOLDER
        ending = out.suffix.lower().removeprefix(".")
        self.single = out if ending in FORMATS and not out.is_dir() else None
        self.form = wanted.form or (ending if self.single else FORMATS[0])
        self.folder = out.parent if self.single else out
        if self.single and self.form != ending:
            raise UsageError(f"{out} ends in .{ending}, but --format says {self.form}", hint="Leave out one of them.")
        if self.single and sheets > 1:
            raise self._too_many(f"{sheets:,} sheets")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not a folder", hint="Choose another with -o.")
        self._used: set[str] = set()

    def file(self, sheet: Sheet, number: int, page: Page) -> Path:
        if self.single and page.pages > 1:
            raise self._too_many(f"{page.pages:,} pages")
        with disk(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
        if self.single:
            return self.single
        part = f"-p{page.number:02d}" if page.pages > 1 else ""
        values = sheet.facts["per"].values()
        if page.number == 1 and sheet.name in self._used:  # another prompt of this id
            sheet.name = f"{sheet.name}_{prompt_id(str(sheet.facts['per'].get('prompt')))}"
        self._used.add(sheet.name)
        stem = sheet.name or "_".join("none" if value is None else short(value) for value in values)
        name = f"{number:05d}-{safe_part(stem, limit=100)}" if stem else "sheet"
        return self.folder / f"{name}{part}.{self.form}"

    def _too_many(self, what: str) -> UsageError:
        hint = "Give a folder with -o, or choose less with --where, --limit, --per none or a smaller --size."
        return UsageError(f"{self.single} is one file, and there are {what} to draw", hint=hint)


def _subtitle(sheet: Sheet, pictures: int, gaps: Counter[str], *, simulated: bool) -> str:
    words = [word for word in (sheet.facts["prompt_id"], sheet.facts["model"]) if word]
    words.append(show_count(pictures, "image"))
    if gaps:
        words.append(", ".join(f"{count:,} {word}" for word, count in sorted(gaps.items())))
    if simulated:
        words.append("simulated")
    return "  ·  ".join(words)


def _write(path: Path, image: Image.Image, form: str) -> int:
    """The same picture gives the same bytes: nothing in the file tells of the time or the machine."""
    buffer = BytesIO()
    if form == "webp":
        image.save(buffer, "WEBP", quality=88, method=4)
    else:
        image.save(buffer, "PNG", compress_level=2)  # of photographs a third smaller than 6, and three times as fast
    content = buffer.getvalue()
    try:
        write_whole(path, [content])
    except FileRefused as refused:
        raise UsageError(refused.cause.message, hint="Choose another name with -o.") from None
    return len(content)


def _warnings(drawn: Drawn, writer: Writer) -> Iterator[str]:
    for script, char in writer.missing.items():
        yield f"No font here has {script} ({char}): boxes are drawn in its place. {_mend(script)}"
    if writer.unshaped:
        yield "Pillow here was built without Raqm: Arabic, Indic and Thai letters are not joined. Install its wheel."
    if drawn.plan.hidden:
        *names, last = drawn.plan.hidden
        words = f"{', '.join(names)} and {last} vary too: name them" if names else f"{last} varies too: name it"
        yield f"Within a cell, {words} with --rows, --cols or --per to tell the images apart."


def _mend(script: str) -> str:
    if script in _BY_PACKAGE:
        return f"Install them: `{install_command('grid')}`"
    if script == "emoji":
        return "Install a font with outlines of them, like Symbola or the monochrome Noto Emoji."
    return f"Install a font for it, like Noto Sans {script}."
