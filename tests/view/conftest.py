"""A small run and its page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.big_run import make_run
from tests.support.browser import Served, browser, need_browser, page_server

VIEWPORT: Any = {"width": 1400, "height": 900}
JOBS = 36  # three prompts, three ratios, four seeds


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """With small images; as large as the model's with ``parametrize("run", [1], indirect=True)``."""
    make_run(tmp_path / "night", JOBS, states={5: "failed", 6: "pending"}, shrink=getattr(request, "param", 4))
    return tmp_path / "night"


@pytest.fixture
def served(run: Path) -> Iterator[Served]:
    with page_server(run, cwd=run.parent) as server:
        yield server


@pytest.fixture(scope="module")
def window() -> Iterator[tuple[Any, list[str]]]:
    """The one tab of a module, as a new one costs a second of a processor; and the errors in its console.

    Closed with its module: while it is open an event loop runs here, and other tests start loops of their own.
    """
    need_browser()
    errors: list[str] = []
    with browser() as chromium:
        page = chromium.new_context(viewport=VIEWPORT).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
        yield page, errors


@pytest.fixture
def tab(window: tuple[Any, list[str]]) -> Iterator[Any]:
    """Empty; fails for an error in its console."""
    page, errors = window
    yield page
    page.unroute_all()
    page.set_viewport_size(VIEWPORT)
    page.emulate_media(color_scheme="light")
    page.goto("about:blank")
    seen = errors.copy()
    errors.clear()
    assert seen == []
