"""Messages, to real receivers on loopback: good, slow, broken and hostile ones."""

import base64
import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from batcher.core.errors import UsageError
from batcher.images import contact_sheet
from batcher.runner.watchers import notify, notify_hook, notify_text
from batcher.runner.watchers.notify import Heartbeat, Line, Messenger, Webhook, addresses, receivers
from tests.runner.receivers import OK, receiver, says

REPORT = {
    "run": "runs/night", "total": 12, "done": 9, "failed": 2, "in_doubt": 1, "cancelled": 0, "pending": 0,
    "images": 9, "submits": 14, "cost_usd": 0.28, "spent_usd": 0.28, "seconds": 61.5, "exit_code": 5,
    "stopped_by": None, "simulated": False,
}  # fmt: skip


def test_a_webhook_gets_the_text_as_json() -> None:
    with receiver(OK) as hook:
        messenger = Messenger([Webhook(hook.url)])
        messenger.send("title", "text")
        assert messenger.close() == []
    assert [json.loads(body) for body in hook.bodies] == [{"text": "title\ntext"}]
    assert b"Content-Type: application/json" in hook.requests[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says("HTTP/1.1 500 Oops\nContent-Length: 0\n\n"), "HTTP 500"),
        (says("HTTP/1.1 404 Not here\nContent-Length: 9\n\nno secret"), "HTTP 404"),
        (says("not even http\n\n"), "BadStatusLine"),
        (lambda _: None, "RemoteDisconnected"),
        (says("HTTP/1.1 200 OK\n" + "X-A: 1\n" * 300 + "\n"), "HTTPException"),
    ],
)
def test_a_broken_receiver_is_named_without_its_secret_path(answer: Callable[[socket.socket], None], why: str) -> None:
    with receiver(answer) as hook:
        messenger = Messenger()
        messenger._lines = [Line(Webhook(hook.url), pause=0.0)]
        messenger.send("title")
        problems = messenger.close()
    assert problems == [f"no message to http://127.0.0.1: {why}"]
    assert len(hook.requests) == notify.TRIES  # once more, in case it was the moment


def test_a_redirect_is_not_followed() -> None:
    with (
        receiver(OK) as other,
        receiver(says(f"HTTP/1.1 307 There\nLocation: {other.url}\nContent-Length: 0\n\n")) as hook,
    ):
        messenger = Messenger()
        messenger._lines = [Line(Webhook(hook.url), pause=0.0)]
        messenger.send("title")
        assert messenger.close() == ["no message to http://127.0.0.1: HTTP 307"]
    assert hook.requests
    assert not other.requests


def test_a_receiver_that_never_answers_or_drips_delays_nobody() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            connection.sendall(b"X: y\r\n")

    def wait(_: socket.socket) -> None:
        over.wait(20)

    with receiver(wait) as silent, receiver(drip) as slow, receiver(OK) as good:
        messenger = Messenger([Webhook(silent.url), Webhook(slow.url), Webhook(good.url)])
        began = time.monotonic()
        for number in range(100):
            messenger.send(f"message {number}")
        sent = time.monotonic() - began
        problems = messenger.close(0.5)
        closed = time.monotonic() - began
        over.set()
    assert sent < 0.2
    assert closed < 2.0
    assert problems[0] == "the message to http://127.0.0.1 may still arrive: no answer in time"
    assert any(b"message 99" in body for body in good.bodies)  # the others get theirs


def test_the_answer_is_not_read_however_long_it_is() -> None:
    sent: list[int] = []

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        sent.extend(connection.send(b"x" * 65536) for _ in range(2_000))

    with receiver(flood) as hook:
        messenger = Messenger([Webhook(hook.url)])
        messenger.send("title")
        assert messenger.close() == []
    assert sum(sent) < 50_000_000


def test_addresses_come_from_the_environment_or_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    assert addresses({"HOME": str(tmp_path)}) == []
    assert addresses({"BATCHER_NOTIFY": "https://a.example/x ntfy://topic"}) == ["https://a.example/x", "ntfy://topic"]
    usual = tmp_path / ".config" / "batcher" / "notify"
    usual.parent.mkdir(parents=True)
    usual.write_text("# mine\nhttps://a.example/x\n\n")
    usual.chmod(0o600)
    assert addresses({"HOME": str(tmp_path)}) == ["https://a.example/x"]
    assert addresses({"BATCHER_NOTIFY": str(usual)}) == ["https://a.example/x"]
    usual.chmod(0o644)
    with pytest.raises(UsageError, match="others can read"):
        addresses({"BATCHER_NOTIFY": str(usual)})
    with pytest.raises(UsageError, match="can't be read"):
        addresses({"BATCHER_NOTIFY": str(tmp_path / "none")})


@pytest.mark.parametrize("url", ["http://hooks.example/secret", "https://", "https://x y/", "http://[::1/", "nonsense"])
def test_an_address_that_would_send_in_the_clear_or_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        receivers([url])
    assert "secret" not in str(refused.value)


def test_everything_else_goes_through_apprise() -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    with receiver(OK) as hook:
        (one,) = receivers([f"json://127.0.0.1:{hook.port}/secret"])
        messenger = Messenger([one])
        messenger.send("title", "text")
        assert messenger.close() == []
    assert json.loads(hook.bodies[0])["message"] == "text"
    assert one.where == "json://..."


def test_a_service_that_takes_images_gets_a_contact_sheet_without_words(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    names = [tmp_path / f"{number}.png" for number in range(7)]
    for number, name in enumerate(names):
        Image.new("RGB", (640, 360), (30 * number, 0, 0)).save(name)
    (tmp_path / "3.png").write_bytes(b"no picture at all")
    with receiver(OK) as hook:
        messenger = Messenger(receivers([f"json://127.0.0.1:{hook.port}/secret"]))
        messenger.send("title", "text", lambda: contact_sheet.draw([*names, tmp_path / "gone.png"]))
        assert messenger.close(30) == []
    (body,) = map(json.loads, hook.bodies)
    (attached,) = body["attachments"]
    with Image.open(io.BytesIO(base64.b64decode(attached["base64"]))) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.size == (6 * 264 + 8, 264 + 8)  # six of the eight can be shown, in one row
        assert not sheet.getexif()


def test_a_service_of_apprise_whose_answer_never_ends_takes_none_of_our_memory_and_delays_nobody() -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    over = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.wait(0.001):
            connection.sendall(b"x" * 65536)

    with receiver(flood) as hook:
        messenger = Messenger(receivers([f"json://127.0.0.1:{hook.port}/secret"]))
        messenger.send("title", "text")
        _until(lambda: bool(hook.requests))
        assert messenger.close(0.5) == ["the message to json://... may still arrive: no answer in time"]
        assert not [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
        over.set()


def test_a_contact_sheet_that_fails_is_left_out_of_the_message() -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    with receiver(OK) as hook:
        messenger = Messenger(receivers([f"json://127.0.0.1:{hook.port}/secret"]))
        messenger.send("title", "text", lambda: None)
        assert messenger.close(30) == []
    assert json.loads(hook.bodies[0])["attachments"] == []


def test_the_heart_beats_while_the_run_lives_and_not_when_its_loop_hangs() -> None:
    alive = True
    with receiver(OK) as watch:
        heart = Heartbeat(watch.url, lambda: alive, every=0.02)
        _until(lambda: len(watch.requests) > 2)
        alive = False
        time.sleep(0.2)
        count = len(watch.requests)
        time.sleep(0.2)
        assert len(watch.requests) == count
        heart.close()
    assert watch.requests[0].startswith(b"GET /hook/secret-path ")


def _until(holds: Callable[[], bool], limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_message_has_the_sums_what_needs_a_person_and_commands_to_paste() -> None:
    title, text = notify_text.at_end(
        {
            **REPORT,
            "run": "runs/my night",
            "pending": 3,
            "stopped_by": "budget",
            "causes": [{"cause": "content_policy", "count": 2}],
        }
    )
    assert title == "batcher: runs/my night stopped: the budget is committed"
    assert "9 of 12 done, 2 failed, 1 in doubt, 3 to go; $0.28 in all; 1 min 02 s." in text
    assert "Needs you: 2 content_policy" in text
    assert text.splitlines()[-2:] == ["Look: batcher status 'runs/my night'", "Go on: batcher run 'runs/my night'"]


def test_on_end_knows_the_run_and_not_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNCOMFY_TOKEN", "BATCHER_NOTIFY"):
        monkeypatch.setenv(name, "hush")
    out = tmp_path / "env"
    assert notify_hook.run(f"env > '{out}'", REPORT, tmp_path) == ""
    seen = dict(line.split("=", 1) for line in out.read_text().splitlines() if "=" in line)
    assert seen["BATCHER_EXIT_CODE"] == "5"
    assert seen["BATCHER_COST_USD"] == "0.28"
    assert seen["BATCHER_STOPPED_BY"] == ""
    assert seen["BATCHER_REPORT"] == str(tmp_path / "report.json")
    assert "hush" not in out.read_text()
    assert seen["PATH"] == os.environ["PATH"]


def test_on_end_may_fail_or_hang_and_the_run_only_says_so(tmp_path: Path) -> None:
    assert notify_hook.run("exit 3", REPORT, tmp_path) == "--on-end ended with 3"
    began = time.monotonic()
    assert notify_hook.run("sleep 5", REPORT, tmp_path, patience=0.2).startswith("--on-end still runs")
    assert time.monotonic() - began < 3
