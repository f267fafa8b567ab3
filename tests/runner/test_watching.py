"""What stands around a real run: messages, heartbeat and the user's command, with receivers good and bad."""

import base64
import io
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from batcher.__main__ import main
from batcher.core.job import Counts
from batcher.core.tally import Tally
from batcher.runner.events import RunBegan, RunEnded, Ticked
from batcher.runner.watchers.notify import LAST_WAIT
from batcher.runner.watchers.watching import Watch
from tests.runner.receivers import OK, receiver

TOKEN = "a-secret-token-0123456789"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
    Path("p.txt").write_text("a kite that nobody may know of\nanother kite\n")


def run(*more: str) -> int:
    return main(["run", "p.txt", "--simulate", "--progress", "none", *more])


def test_the_end_of_a_run_is_told_without_prompt_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(OK) as hook, receiver(OK) as heart:
        monkeypatch.setenv("BATCHER_NOTIFY", hook.url)
        monkeypatch.setenv("BATCHER_HEARTBEAT", heart.url)
        assert run("--budget", "0.02") == 4
        assert run() == 0
        assert heart.requests
    first, second = (json.loads(body)["text"] for body in hook.bodies)
    assert first.startswith("batcher: runs/p stopped: the budget is committed\n1 of 2 done, 1 to go; $0.02 in all")
    assert first.endswith("Go on: batcher run runs/p")
    assert second.startswith("batcher: runs/p is finished: 2 jobs done")
    for request in [*hook.requests, *heart.requests]:
        assert b"kite" not in request
        assert TOKEN.encode() not in request


def test_the_contact_sheet_shows_the_images_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    with receiver(OK) as hook:
        monkeypatch.setenv("BATCHER_NOTIFY", f"json://127.0.0.1:{hook.port}/secret")
        assert run("--matrix", "seed=1..20", "--rate", "200/s") == 0
    (body,) = map(json.loads, hook.bodies)
    (attached,) = body["attachments"]
    with Image.open(io.BytesIO(base64.b64decode(attached["base64"]))) as sheet:
        assert sheet.size == (6 * 264 + 8, 4 * 264 + 8)  # 24 of 40
    assert b"kite" not in hook.requests[0]
    assert TOKEN.encode() not in hook.requests[0]


def test_a_run_that_can_not_start_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("p.csv").write_text("prompt,aspect_ratio\na kite,17:9\n")
    with receiver(OK) as hook:
        monkeypatch.setenv("BATCHER_NOTIFY", hook.url)
        assert main(["run", "p.csv", "--simulate", "--progress", "none"]) == 65
    assert json.loads(hook.bodies[0]) == {"text": "batcher: p.csv did not start: the manifest is wrong"}


def test_a_receiver_that_never_answers_costs_a_few_seconds_at_the_end_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    over = threading.Event()

    def wait(_: socket.socket) -> None:
        over.wait(60)

    with receiver(wait) as hook:
        monkeypatch.setenv("BATCHER_NOTIFY", f"{hook.url} nonsense://x")
        assert run() == 0  # an address that nobody can read is a warning
        assert "no messages are sent" in capsys.readouterr().err
        monkeypatch.setenv("BATCHER_NOTIFY", hook.url)
        began = time.monotonic()
        assert run() == 0
        assert time.monotonic() - began < LAST_WAIT + 10
        over.set()
    assert "the message to http://127.0.0.1 may still arrive: no answer in time" in capsys.readouterr().err
    assert json.loads(Path("runs/p/report.json").read_text())["exit_code"] == 0


def test_after_an_interruption_nobody_waits_long_for_a_receiver() -> None:
    over = threading.Event()

    def wait(_: socket.socket) -> None:
        over.wait(60)

    with receiver(wait) as hook:
        with Watch(environ={"BATCHER_NOTIFY": hook.url, "HOME": "/nowhere"}) as watch:
            report = {"run": "runs/p", "total": 2, "done": 1, "pending": 1, "seconds": 1.0, "exit_code": 130}
            watch(RunEnded(report={**report, "stopped_by": "interrupted"}))
            began = time.monotonic()
            watch.finish(asked_at=began)
            assert time.monotonic() - began < LAST_WAIT
        over.set()


def test_the_users_command_runs_when_all_is_written_and_its_exit_code_changes_nothing() -> None:
    assert (
        run("--on-end", 'cp "$BATCHER_REPORT" "$BATCHER_RUN/../copy.json"; batcher_lock=$(ls -a runs/p); exit 9') == 0
    )
    assert json.loads(Path("runs/copy.json").read_text())["done"] == 2


def test_nothing_that_moves_for_a_while_is_told_once() -> None:
    with receiver(OK) as hook:
        environment = {"BATCHER_NOTIFY": hook.url, "HOME": "/nowhere"}
        snapshot = Tally(Counts(total=9, done=4), 0.0).snapshot(0.0, None)
        with Watch(environ=environment, stall=900.0) as watch:
            watch(RunBegan(run_dir=Path("runs/p"), manifest="p", model="m", total=9, simulated=True, at=1000.0))
            for at in range(1000, 4000, 100):
                watch(Ticked(snapshot=snapshot, at=float(at)))
    (text,) = (json.loads(body)["text"] for body in hook.bodies)
    assert text.startswith("batcher: runs/p: nothing moved for 15 min 00 s\n4 of 9 done")
