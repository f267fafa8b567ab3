"""README.md as data: its sections, tables, code blocks and links."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    """What stands below a heading, up to the next one of its level or above. The title without its number signs."""
    match = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert match, f"README.md has no section {title!r}"
    level = len(match[1])
    rest = TEXT[match.end() :]
    end = re.search(rf"^#{{1,{level}}} ", without_code(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def without_code(text: str) -> str:
    """The same text with its code blocks blanked, so that a comment in one is not taken for a heading."""
    return re.sub(r"^```.*?^```", lambda block: re.sub(r"[^\n]", " ", block[0]), text, flags=re.MULTILINE | re.DOTALL)


def titles() -> list[str]:
    return [match[1] for match in re.finditer(r"^#+ (.+)$", without_code(TEXT), re.MULTILINE)]


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
    """The lines of the code block under ``<!-- ci: NAME -->``."""
    _, mark, rest = TEXT.partition(f"<!-- ci: {name} -->\n")
    assert mark, f"README.md has no mark {name!r}"
    return blocks(rest, "bash")[0].splitlines()


def tests_named() -> list[tuple[str, str]]:
    """Pairs of a file below tests/ and a test in it."""
    return re.findall(r"`([\w/]+\.py)::(test_\w+)`", TEXT)
