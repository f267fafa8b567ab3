"""README.md and the manual as data: sections, tables, code blocks and links."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "batcher" / "manual"
TEXT = (ROOT / "README.md").read_text("utf-8")
ALL = [ROOT / "README.md", *sorted(MANUAL.glob("*.md"))]


def page(name: str) -> str:
    """A page of the manual."""
    return (MANUAL / f"{name}.md").read_text("utf-8")


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above. The title without its number signs."""
    match = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert match, f"there is no section {title!r}"
    level = len(match[1])
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{level}}} ", without_code(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def without_code(text: str) -> str:
    """The same text with its code blocks blanked, so that a comment in one is not taken for a heading."""
    return re.sub(r"^```.*?^```", lambda block: re.sub(r"[^\n]", " ", block[0]), text, flags=re.MULTILINE | re.DOTALL)


def titles(text: str) -> list[str]:
    return [match[1] for match in re.finditer(r"^#+ (.+)$", without_code(text), re.MULTILINE)]


def anchors(text: str) -> set[str]:
    """What a link to a heading is called on the web."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles(text)}


def rows(text: str) -> Iterator[list[str]]:
    """The rows of all tables, headers and rules left out."""
    lines = without_code(text).splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not after.startswith("| ---") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def words(text: str) -> list[str]:
    """What stands in back quotes."""
    return re.findall(r"`([^`]+)`", text)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def marked(name: str) -> list[str]:
    """The lines of the code block under ``<!-- ci: NAME -->`` in README.md."""
    _, mark, rest = TEXT.partition(f"<!-- ci: {name} -->\n")
    assert mark, f"README.md has no mark {name!r}"
    return blocks(rest, "bash")[0].splitlines()
