"""A small run and its page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.big_run import make_run
from tests.support.browser import Served, browser, need_browser, page_server

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
def chromium() -> Iterator[object]:
    """Closed with its module: while it is open an event loop runs here, and other tests start loops of their own."""
    need_browser()
    with browser() as found:
        yield found
