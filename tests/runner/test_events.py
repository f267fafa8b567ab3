"""The log of runs that something happens to: refusals, a service that goes away, a person who steers. No secrets."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher.runner.watchers.events_log import EVENTS
from tests.support.simulator_process import service

TOKEN = "a-token-0123456789abcdef"
ROWS = [{"prompt": f"a kite that nobody may know of, number {number}", "id": f"p{number}"} for number in range(12)]
LOG = Path("log.jsonl")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)


def logged(*names: str) -> list[dict[str, Any]]:
    """Events of these names; each has only the fields of the table."""
    lines = [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []
    for line in lines:
        assert set(line) <= {"ts", "level", "event", "run", *EVENTS[line["event"]].fields.split()}
    return [line for line in lines if line["event"] in names]


def to(origin: str) -> dict[str, Any]:
    return {"out": "run", "base_url": f"{origin}/v1", "trust_host": ["127.0.0.1"], "rate": 50, "log": str(LOG)}


def test_a_refused_submit_is_an_event_that_costs_nothing(tmp_path: Path) -> None:
    profile = "latency: 0.05\nfaults:\n  - {where: submit, kind: 429_seconds, seconds: 1, count: 2}\n"
    with service(tmp_path, profile) as origin:
        report = batcher.run(ROWS[:3], **to(origin))
    refused = logged("refused")
    assert len(refused) == report.rate_limited > 0
    assert {line["job"] for line in refused} <= {line["job"] for line in logged("submit")}  # each had another turn
    assert sum(line["reserved_usd"] for line in logged("submit")) == pytest.approx(0.06)
    assert sum(line["cost_usd"] for line in logged("saved")) == pytest.approx(0.06)


def test_a_submit_that_finds_nobody_is_an_event(tmp_path: Path) -> None:
    with service(tmp_path, "latency: 30\n") as origin:
        run = batcher.start(ROWS, **{**to(origin), "rate": 5})
        run.__enter__()
        _until(lambda: bool(logged("submit")))
    _until(lambda: bool(logged("unsent")))  # the service is gone
    run.stop()
    run.__exit__(None, None, None)
    assert "cause" in logged("unsent")[0]
    assert run.report is not None
    assert run.report.submits == len(logged("submit"))


def test_pause_tune_and_resume_are_events_with_their_reason() -> None:
    async def main() -> None:
        async with batcher.start(ROWS, out="run", simulate=True, rate=5, log=str(LOG)) as run:
            await run.pause("lunch")
            await _seen("pause")
            await run.tune(rate="100/s", budget=5, reason="hungry")
            await _seen("tune")
            await run.tune(budget="none")
            await run.resume()
            async for _ in run:
                pass

    async def _seen(name: str) -> None:
        await asyncio.to_thread(_until, lambda: bool(logged(name)))

    asyncio.run(main())
    facts = [{key: value for key, value in line.items() if key not in {"ts", "level", "run"}} for line in
             logged("pause", "tune", "resume")]  # fmt: skip
    assert facts == [
        {"event": "pause", "reason": "lunch"},
        {"event": "tune", "rate": 100.0, "budget_usd": 5.0, "reason": "hungry"},
        {"event": "resume"},
        {"event": "tune", "budget_usd": "none"},
    ]


def test_no_token_no_query_of_a_link_and_no_prompt_is_in_a_log(tmp_path: Path) -> None:
    profile = (
        "latency: 0.05\nfaults:\n  - {where: submit, kind: reflect_token, probability: 0.3}\n"
        "  - {where: file, kind: 403, probability: 0.3}\n  - {where: result, kind: failed, probability: 0.3}\n"
    )
    secret = "sig=0123456789"
    with service(tmp_path, profile) as origin, batcher.start(ROWS, **to(origin)) as run:
        run.tune(rate="60/s", reason=f"see https://me:pw@files.example/a.png?{secret} token={TOKEN}")
        _until(lambda: bool(logged("tune")))
        for _ in run:
            pass
    text = LOG.read_text()
    assert logged("failed")
    assert "files.example/a.png" in text
    for hidden in (TOKEN, secret, "pw@", "nobody may know"):
        assert hidden not in text


def _until(holds: Callable[[], bool], limit: float = 40.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
