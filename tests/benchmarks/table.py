"""A measured number with what it is held against, and the table they make."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measurement.

    what: in words. value, unit: what was measured. against: what it is compared with, measured in the same run, and
    ratio: value over that. bound: what was promised, in words, and ok: whether it was kept; None where nothing was.
    note: what else a reader must know.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    bound: str = ""
    ok: bool | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        return "" if self.ok is None else "pass" if self.ok else "FALLS SHORT"


HEAD = ("part", "what", "measured", "ratio", "promised", "")


def in_words(part: str, line: Line) -> tuple[str, ...]:
    ratio = "" if line.ratio is None else f"{line.ratio:.2f} of {line.against}"
    return part, line.what, f"{_number(line.value)} {line.unit}", ratio, line.bound, line.verdict


def drawn(rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown, aligned for a terminal."""
    widths = [max(len(row[at]) for row in (HEAD, *rows)) for at in range(len(HEAD))]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in lines
    )


def as_json(part: str, line: Line) -> str:
    return json.dumps({"part": part, **asdict(line)})


def _number(value: float) -> str:
    if value and abs(value) < 10:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
