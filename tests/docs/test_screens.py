"""The screens of the manual are what a terminal of 80 columns shows, numbers aside."""

import re
from pathlib import Path

import pytest

from tests.docs.screens import SCREENS, shown

PAGE = Path(__file__).parents[2] / "batcher" / "manual" / "screens.md"


def of_page() -> dict[str, list[str]]:
    """The lines of each screen, by its title."""
    parts = PAGE.read_text("utf-8").split("\n## ")[1:]
    screens = {part.partition("\n")[0]: part.partition("```console\n")[2].partition("\n```")[0] for part in parts}
    return {title: text.split("\n") for title, text in screens.items()}


def without_numbers(line: str) -> str:
    """Without amounts, the drawn bar, and which limits and times found room beside it."""
    line = re.sub(r"\|.*\| ", "| ", line)
    line = re.sub(r"(, \d+ in flight|, [\w ]+ left|, \$[\d.]+|, limited by.*)", "", line) if "% | " in line else line
    return re.sub(r" +", " ", re.sub(r"[\d.,]+( [kM]?B\b)?", "#", line)).strip()


def test_every_screen_is_on_the_page() -> None:
    assert list(of_page()) == list(SCREENS)


@pytest.mark.parametrize("title", SCREENS)
def test_a_screen_is_what_a_terminal_shows(title: str) -> None:
    assert list(map(without_numbers, of_page()[title])) == list(map(without_numbers, shown(SCREENS[title])))


def test_the_page_fits_its_terminal() -> None:
    assert max(len(line) for lines in of_page().values() for line in lines) <= 80
