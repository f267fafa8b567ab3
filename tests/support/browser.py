"""A page's server as a process of its own, and a real browser to look at it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.needs import lacks

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-site-isolation-trials",
    "--disable-features=SpareRendererForSitePerProcess,IsolateOrigins,site-per-process",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    pid: int

    @property
    def base(self) -> str:
        """With the slash at its end."""
        return self.url.partition("#")[0]

    @property
    def token(self) -> str:
        return self.url.partition("#")[2]

    @property
    def port(self) -> int:
        return int(self.base.rsplit(":", 1)[1].strip("/"))


@contextmanager
def page_server(
    run: Path, *arguments: str, environ: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Served]:
    """``batcher view``, until the block is left."""
    words = [sys.executable, "-m", "batcher", "view", str(run), "--port", "0", "--no-browser", *arguments]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environ or {})}, cwd=cwd)
    assert process.stdout is not None
    try:
        yield Served(process.stdout.readline().strip(), process.pid)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def chromium_path() -> str | None:
    names = (os.environ.get("BATCHER_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def why_no_browser() -> str:
    """What is missing for these tests; empty for nothing."""
    try:
        import playwright.sync_api  # noqa: F401, PLC0415  in a dependency group of its own
    except ImportError:
        return "playwright is not installed (dependency group test)"
    return "" if chromium_path() else "there is no Chromium (apt-get install chromium)"


def need_browser() -> None:
    if reason := why_no_browser():
        lacks("browser", reason)


@contextmanager
def browser(arguments: Sequence[str] = ()) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  see why_no_browser

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=[*ARGUMENTS, *arguments])
        try:
            yield chromium
        finally:
            chromium.close()
