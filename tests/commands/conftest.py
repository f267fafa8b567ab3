import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import TOKEN, Shell, without_settings
from tests.support.rude_server import RudeServer, answer, serving

OFFER = {"model_id": "google-deepmind/imagen-4/fast/text-to-image", "base_price_usd": 0.02, "price_unit": "output"}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", capsys)


@pytest.fixture
def service(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[RudeServer]:
    """A service that is not the simulator: it names its price and must not be asked for anything that costs it."""
    ready, stop = threading.Event(), threading.Event()
    servers: list[RudeServer] = []

    async def serve() -> None:
        async with serving(answer(OFFER)) as rude:
            servers.append(rude)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", servers[0].base_url)
    try:
        yield servers[0]
    finally:
        stop.set()
        thread.join()
    assert all(seen.method == "GET" for seen in servers[0].seen), "something was submitted"
