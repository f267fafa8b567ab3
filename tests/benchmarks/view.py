"""The page of a hundred thousand pictures in a real Chromium: how long it takes to open, and what scrolling costs.

And what a going run pays for an open page, and how many keys it takes to choose from a night.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from batcher.store import STATE, picks
from batcher.view.server import FILES
from tests.benchmarks.overhead import batcher, prompts
from tests.benchmarks.service import served
from tests.benchmarks.table import Line
from tests.support.big_run import make_run
from tests.support.browser import browser, page_server

PICTURES = 100_000
OPEN_WITHIN = 2.0  # seconds from the first byte
OPENINGS = 3
MOST_NODES = 1_500
MOST_SCRIPT = 60_000  # bytes
RATE, RUN_SECONDS, ROUNDS = 80, 20, 5  # of the run beside the page
MOST_LOST = 3.0  # percent of its processor time
GROUPS = 100  # of four seeds, to choose from
_AFTER_FIRST_BYTE = "performance.now() - performance.getEntriesByType('navigation')[0].responseStart"


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder:
        run = Path(folder) / "big"
        make_run(run, PICTURES, shrink=1)
        cold = []
        for _ in range(OPENINGS):  # each with a server that knows nothing yet
            with page_server(run) as server, browser() as chromium:
                page = chromium.new_page(viewport={"width": 1400, "height": 900})
                cold.append(_opened(page, server.url))
        yield _opening("opens, the first time", cold)
        with page_server(run) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            _opened(page, server.url)
            warm = []
            for _ in range(OPENINGS):
                page.goto("about:blank")
                warm.append(_opened(page, f"{server.base}#view=wall"))
            yield _opening("opens again, at the wall", warm)
            nodes, slowest = page.evaluate(_SCROLL)
            yield Line(
                what="nodes of the page while it is scrolled from end to end", value=nodes, unit="nodes",
                bound=f"at most {MOST_NODES:,}", ok=nodes <= MOST_NODES, note=f"slowest frame {slowest:.0f} ms",
            )  # fmt: skip
            heap = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
            yield Line(what="memory of its JavaScript", value=heap, unit="MB")
            yield Line(what="memory of its server", value=_memory(server.pid), unit="MB")
            yield Line(what="processor time of the server beside a quiet run", value=_share(page, server.pid), unit="%")
    yield _beside_a_run()
    yield _keys()
    size = sum(path.stat().st_size for path in FILES.values() if path.suffix == ".js")
    bound = f"at most {MOST_SCRIPT // 1000} kB"
    yield Line(what="JavaScript", value=size / 1000, unit="kB", bound=bound, ok=size <= MOST_SCRIPT)


def _opened(page: Any, address: str) -> tuple[float, float]:
    """Seconds after the first byte until tiles are in their places, and until the first picture."""
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".tile", state="attached", timeout=60_000)
    laid_out = page.evaluate(_AFTER_FIRST_BYTE) / 1000
    page.wait_for_selector(".tile.loaded", timeout=60_000)
    return laid_out, page.evaluate(_AFTER_FIRST_BYTE) / 1000


def _opening(what: str, times: list[tuple[float, float]]) -> Line:
    """The fastest counts: the others had less of the machine."""
    laid_out, first_picture = min(times)
    return Line(
        what=f"{PICTURES:,} pictures: {what}", value=laid_out, unit="s after the first byte",
        bound=f"at most {OPEN_WITHIN:.0f} s", ok=laid_out <= OPEN_WITHIN,
        note=f"first picture after {first_picture:.2f} s; the slowest of {OPENINGS}: {max(times)[0]:.2f} s",
    )  # fmt: skip


def _beside_a_run() -> Line:
    """Runs in turns with and without a page that somebody looks at, so that a noisy minute falls on both."""
    jobs = RATE * RUN_SECONDS
    costs: dict[bool, list[float]] = {False: [], True: []}
    with TemporaryDirectory() as name, served("--latency", "2") as origin, ThreadPoolExecutor(1) as thread:
        folder = Path(name)
        manifest = prompts(folder, jobs)
        for number in range(2 * ROUNDS):
            run, is_seen = folder / f"run{number}", number % 2 == 1
            going = thread.submit(batcher, origin, manifest, run, "--rate", f"{RATE}/s")
            while not (run / STATE).exists():
                time.sleep(0.05)
            if is_seen:
                with page_server(run) as server, browser() as chromium:
                    page = chromium.new_page(viewport={"width": 1400, "height": 900})
                    page.goto(server.url)
                    while not going.done():
                        page.wait_for_timeout(2000)
                        page.keyboard.press("w" if page.evaluate("location.hash.includes('overview')") else "o")
            costs[is_seen].append(going.result().cpu / jobs * 1e3)
    alone, seen = (median(costs[is_seen]) for is_seen in (False, True))
    lost = 100 * (seen / alone - 1)
    return Line(
        what=f"processor time that a run of {RATE}/s loses to an open page", value=lost, unit="%",
        bound=f"at most {MOST_LOST:.0f} %", ok=lost <= MOST_LOST,
        note=f"ms a job, alone {_rounded(costs[False])}, seen {_rounded(costs[True])}",
    )  # fmt: skip


def _rounded(costs: list[float]) -> str:
    return ", ".join(f"{cost:.2f}" for cost in sorted(costs))


def _keys() -> Line:
    """The best picture of each group is another one in turn: some arrows to it, then Shift+P."""
    with TemporaryDirectory() as folder:
        run, pressed = Path(folder) / "night", 0
        make_run(run, 4 * GROUPS, shrink=1)
        with page_server(run) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.goto(server.url)
            page.wait_for_selector('.tile[aria-current="true"]')
            began = time.monotonic()
            for group in range(GROUPS):
                for key in [*["ArrowRight"] * (group % 4), "Shift+P"]:
                    page.keyboard.press(key)
                    pressed += 1
            seconds = time.monotonic() - began
            while len(verdicts := picks.read(run).verdicts) < 4 * GROUPS:
                page.wait_for_timeout(50)
        kept = sum(verdict.pick == picks.YES for verdict in verdicts.values())
    return Line(
        what=f"keys pressed to choose one of four in each of {GROUPS} groups", value=pressed, unit="keys",
        bound=f"{kept} kept, {4 * GROUPS - kept} rejected", ok=kept == GROUPS,
        note=f"{seconds:.0f} s, as fast as keys can be pressed; {GROUPS} where the first is always the best",
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
