"""The page of a hundred thousand pictures in a real Chromium: how long it takes to open, and what scrolling costs."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batcher.view.server import FILES
from tests.benchmarks.table import Line
from tests.support.big_run import make_run
from tests.support.browser import browser, page_server

PICTURES = 100_000
OPEN_WITHIN = 2.0  # seconds from the first byte
MOST_NODES = 1_500
MOST_SCRIPT = 60_000  # bytes
_AFTER_FIRST_BYTE = "performance.now() - performance.getEntriesByType('navigation')[0].responseStart"


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder:
        run = Path(folder) / "big"
        make_run(run, PICTURES)
        with page_server(run) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.goto(server.url, wait_until="commit")
            yield from _opened(page, "opens, the first time")
            page.goto("about:blank")
            page.goto(f"{server.base}#view=wall", wait_until="commit")
            yield from _opened(page, "opens again, at the wall")
            nodes, slowest = page.evaluate(_SCROLL)
            yield Line(
                what="nodes of the page while it is scrolled from end to end", value=nodes, unit="nodes",
                bound=f"at most {MOST_NODES:,}", ok=nodes <= MOST_NODES, note=f"slowest frame {slowest:.0f} ms",
            )  # fmt: skip
            heap = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
            yield Line(what="memory of its JavaScript", value=heap, unit="MB")
            yield Line(what="memory of its server", value=_memory(server.pid), unit="MB")
            yield Line(what="processor time of the server beside a quiet run", value=_share(page, server.pid), unit="%")
    size = sum(path.stat().st_size for path in FILES.values() if path.suffix == ".js")
    bound = f"at most {MOST_SCRIPT // 1000} kB"
    yield Line(what="JavaScript", value=size / 1000, unit="kB", bound=bound, ok=size <= MOST_SCRIPT)


def _opened(page: Any, what: str) -> Iterator[Line]:
    """Tiles in their places with their first picture."""
    page.wait_for_selector(".tile", state="attached", timeout=60_000)
    laid_out = page.evaluate(_AFTER_FIRST_BYTE) / 1000
    page.wait_for_selector(".tile.loaded", timeout=60_000)
    note = f"first picture after {page.evaluate(_AFTER_FIRST_BYTE) / 1000:.2f} s"
    yield Line(
        what=f"{PICTURES:,} pictures: {what}", value=laid_out, unit="s after the first byte", note=note,
        ok=laid_out <= OPEN_WITHIN, bound=f"at most {OPEN_WITHIN:.0f} s",
    )  # fmt: skip


def _memory(pid: int) -> float:
    """Megabytes that a process keeps for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000


def _share(page: Any, pid: int, seconds: float = 10.0) -> float:
    """Percent of one processor that the server takes while the page is open."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    page.wait_for_timeout(20_000)  # flags are judged and thumbnails made
    began, before = time.monotonic(), used()
    page.wait_for_timeout(seconds * 1000)
    return 100 * (used() - before) / (time.monotonic() - began)


_SCROLL = """async () => {
  const stage = document.querySelector('.stage'); let most = 0, slowest = 0, last = performance.now();
  const height = stage.scrollHeight, steps = 240;
  for (let step = 0; step <= steps; step++) {
    stage.scrollTop = (height * step) / steps;
    await new Promise(requestAnimationFrame);
    const now = performance.now(); slowest = Math.max(slowest, now - last); last = now;
    most = Math.max(most, document.getElementsByTagName('*').length);
  }
  stage.scrollTop = height * 0.37;
  return [most, slowest];
}"""
