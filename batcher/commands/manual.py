"""The manual: Markdown pages below ``batcher/manual/``, and how a terminal shows them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from batcher.core.folding import columns

FOLDER = Path(__file__).parents[1] / "manual"

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_WIDEST_FIRST = 32  # columns: a table with longer first cells has the others below them
_BULLET = re.compile(r"(\s*)([-*]|\d+\.) ")


@dataclass(frozen=True, slots=True)
class Page:
    """A page. name: the topic to type. title: the first heading."""

    name: str
    title: str


def pages() -> list[Page]:
    """All pages, by name."""
    return [_page(path) for path in sorted(FOLDER.glob("*.md"))]


def read(name: str) -> str | None:
    """The Markdown of a page; None when there is no page of that name."""
    path = FOLDER / f"{name}.md"
    return path.read_text("utf-8") if name in {page.stem for page in FOLDER.glob("*.md")} else None


def _page(path: Path) -> Page:
    text = re.sub(r"<!--.*?-->", "", path.read_text("utf-8"), flags=re.DOTALL)
    return Page(path.stem, text.strip().partition("\n")[0].removeprefix("# "))


def shown(markdown: str, width: int) -> str:
    """A page as lines of text: paragraphs filled to ``width`` columns, tables as lists, links without addresses."""
    return "\n".join(_blocks(re.sub(r"<!--.*?-->\n?", "", markdown, flags=re.DOTALL), width)).strip("\n") + "\n"


def _blocks(markdown: str, width: int) -> Iterator[str]:
    lines = markdown.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        end = at + 1
        if line.startswith("```"):
            while end < len(lines) and not lines[end].startswith("```"):
                end += 1
            yield from (f"    {code}".rstrip() for code in lines[at + 1 : end])
            end += 1
        elif line.startswith("|"):
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            yield from _table(lines[at:end], width)
        elif line.startswith("#"):
            yield _inline(line.lstrip("# ")).upper() if line.startswith("# ") else _inline(line.lstrip("# "))
        elif not line.strip():
            yield ""
        else:
            while end < len(lines) and _goes_on(lines[end]):
                end += 1
            yield from _paragraph(lines[at:end], width)
        at = end


def _goes_on(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "|", "```")) and not _BULLET.match(line)


def _paragraph(lines: list[str], width: int) -> list[str]:
    bullet = _BULLET.match(lines[0])
    text = _inline(" ".join(line.strip() for line in lines))
    indent = " " * len(bullet[0]) if bullet else ""
    return _filled(text, width, bullet[1] if bullet else "", indent)


def _filled(text: str, width: int, first: str = "", indent: str = "") -> list[str]:
    return wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _table(lines: list[str], width: int) -> Iterator[str]:
    """A table as a list: the first cell, and beside or below it the others, from the third on with their headings."""
    heads, *rows = [_cells(line) for line in lines if not re.fullmatch(r"\|[\s:|-]+\|?", line)]
    side = max((columns(row[0]) for row in rows), default=0) + 4
    for row in rows:
        more = [f"[{head}: {cell}]" for head, cell in zip(heads[2:], row[2:], strict=False) if cell]
        text = " ".join([*row[1:2], *more])
        if side > _WIDEST_FIRST:
            yield from _filled(row[0], width, "  ", "  ")
            yield from _filled(text, width, "      ", "      ")
        else:
            yield from _filled(text, width, f"  {row[0]}".ljust(side), " " * side) or [f"  {row[0]}"]


def _cells(line: str) -> list[str]:
    return [_inline(cell.strip().replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _inline(text: str) -> str:
    """Text without Markdown's marks. A link to a page of the manual names its command."""
    text = _LINK.sub(_link, text)
    return re.sub(r"\*\*(.+?)\*\*", r"\1", text)


def _link(match: re.Match[str]) -> str:
    is_image, words, target = match.groups()
    if is_image:
        return f"[image: {words}]"
    page = re.fullmatch(r"([\w-]+)\.md(#.*)?", target)
    if page:
        return f"{words} (`batcher help {page[1]}`)"
    return f"{words} ({target})" if target.startswith("https://") else words
