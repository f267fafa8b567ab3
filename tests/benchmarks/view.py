"""``python -m tests.benchmarks.view [PICTURES]``: opens and scrolls a page in Chromium, and says what it costs."""

import sys
import tempfile
import time
from pathlib import Path

from tests.support.big_run import make_run
from tests.support.browser import browser, page_server


def memory(pid: int) -> float:
    """Megabytes that a process keeps for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000


def main(pictures: int) -> None:
    with tempfile.TemporaryDirectory() as temp:
        run = Path(temp) / "big"
        make_run(run, pictures)
        with page_server(run) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.goto(server.url.partition("#")[0], wait_until="commit")
            page.goto("about:blank")
            began = time.monotonic()
            page.goto(f"{server.url}", wait_until="commit")
            page.wait_for_selector(".tile.loaded", timeout=60_000)
            print(f"first pictures after {time.monotonic() - began:.2f} s")
            timing = "performance.now() - performance.getEntriesByType('navigation')[0].responseStart"
            page.goto("about:blank")
            page.goto(server.url.partition("#")[0] + "#view=wall", wait_until="commit")
            page.wait_for_selector(".tile.loaded", timeout=60_000)
            print(f"again (wall): {page.evaluate(timing):.0f} ms after the first byte")
            most, frames = page.evaluate(SCROLL)
            print(f"scrolled: at most {most} nodes, {frames['count']} frames, slowest {frames['slowest']:.0f} ms")
            heap = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
            print(f"heap of the page {heap:.0f} MB, server {memory(server.pid):.0f} MB")
            page.wait_for_timeout(1500)
            shown = page.locator(".tile.loaded").count()
            print(f"tiles with a picture where it stopped: {shown}")


SCROLL = """async () => {
  const stage = document.querySelector('.stage'); let most = 0, count = 0, slowest = 0, last = performance.now();
  const height = stage.scrollHeight, steps = 240;
  for (let step = 0; step <= steps; step++) {
    stage.scrollTop = (height * step) / steps;
    await new Promise(requestAnimationFrame);
    const now = performance.now(); slowest = Math.max(slowest, now - last); last = now; count++;
    most = Math.max(most, document.getElementsByTagName('*').length);
  }
  stage.scrollTop = height * 0.37;
  return [most, { count, slowest }];
}"""

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
