"""What outlives the process: in one process by serving again, and in real ones that are killed."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batcher.simulator.journal import Journal, JournalError
from tests.simulator.bare_client import IMAGEN, TOKEN, service
from tests.support.virtual import run

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals")


def test_requests_and_charges_live_on_over_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "service.jsonl"

    async def story() -> None:
        async with service(journal=journal, slots=2, latency=10) as client:
            ids = [await client.submit(seed=n) for n in range(4)]
            await client.call("POST", f"/v1/requests/{ids[3]}/cancel")
            await client.call("GET", "/files/x", headers={"Authorization": TOKEN})
            await asyncio.sleep(4)
            before = client.stats()
        async with service(journal=journal, slots=2, latency=99) as client:
            after = client.stats()
            passing = {"calls": {}, "strays": 0, "submits_received": 4, "files": 0, "file_bytes": 0}
            assert after == before | passing
            assert (await client.status(ids[0]))["status"] == "in_progress"
            assert (await client.status(ids[2]))["queue_position"] == 0
            await asyncio.sleep(17)
            results = [await client.result(request_id) for request_id in ids]
            assert [result["status"] for result in results] == ["succeeded"] * 3 + ["cancelled"]
            assert (await client.file(results[0]["output"]["image"]))[0] == 200
            assert (client.stats()["charged"], client.stats()["charges_per_input"]["max"]) == (3, 1)
            again = await client.submit(seed=0)
            assert again not in ids

    run(story())


def test_a_job_that_ended_while_nobody_served_has_ended_and_cost_what_it_cost_then(tmp_path: Path) -> None:
    async def story() -> None:
        async with service(journal=tmp_path / "j", latency=10, queue=5) as client:
            request_id = await client.submit()
            await asyncio.sleep(6)
            assert client.stats()["running"] == 1
        await asyncio.sleep(1000)
        async with service(journal=tmp_path / "j", price=7) as client:
            result = await client.result(request_id)
            assert (result["status"], result["cost"]) == ("succeeded", 0.02)
            assert result["finished_at"] == "2026-09-21T14:13:35.000Z"
            assert client.stats()["peak_running"] == 0

    run(story())


def test_an_accident_of_the_first_submit_does_not_hit_its_repetition_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        faults = [{"where": "submit", "kind": "html_200", "first": 1}]
        for expected in (bytes, dict):
            async with service(journal=tmp_path / "j", faults=faults) as client:
                _, body, _ = await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "a heron"})
                assert type(body) is expected

    run(story())


def test_a_torn_last_line_is_dropped_and_the_next_record_is_whole(tmp_path: Path) -> None:
    journal = tmp_path / "j"

    async def story() -> None:
        async with service(journal=journal, latency=0) as client:
            first = await client.submit(seed=1)
        whole = journal.read_bytes()
        journal.write_bytes(whole + b'{"t":"accepted","id":"to')
        async with service(journal=journal, latency=0) as client:
            assert journal.read_bytes() == whole
            await client.submit(seed=2)
        async with service(journal=journal, latency=0) as client:
            assert client.stats()["submits_accepted"] == 2
            assert (await client.result(first))["status"] == "succeeded"

    run(story())


@pytest.mark.parametrize("text", ["a,b,c\n", '["t"]\n', '{"x":1}\n', '{"t":"started","id":"unheard of"}\n'])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "j"
    file.write_text(text)

    async def story() -> None:
        async with service(journal=file):
            pass

    with pytest.raises(JournalError):
        run(story())
    assert file.read_text() == text


def test_a_journal_can_be_written_to_again_after_it_was_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "j")
    journal.write("leak")
    journal.close()
    journal.close()
    journal.write("leak")
    assert list(journal.records()) == [{"t": "leak"}] * 2
    journal.close()


@contextlib.contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "batcher.simulator", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.kill()


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": TOKEN, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@POSIX
def test_a_process_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text("latency: 0\n")
    options = ("--journal", str(tmp_path / "j"), "--profile", str(profile))
    with process(*options) as (server, place):
        assert place["pid"] == server.pid
        assert place["base_url"] == place["origin"] + "/v1"
        ids = [ask(f"{place['base_url']}/models/{IMAGEN}", {"prompt": str(n)})["request_id"] for n in range(20)]
        server.kill()
    with process(*options) as (server, place):
        results = [ask(f"{place['base_url']}/requests/{request_id}/result") for request_id in ids]
        assert [result["status"] for result in results] == ["succeeded"] * 20
        stats = ask(f"{place['origin']}/_simulator/stats")
        assert (stats["charged"], stats["charges_per_input"]["max"]) == (20, 1)
        server.terminate()
        assert server.wait(10) == 0


@POSIX
def test_a_child_ends_with_its_parent_and_not_at_ctrl_c() -> None:
    with process("--exit-with-parent") as (server, place):
        server.send_signal(signal.SIGINT)
        assert ask(f"{place['origin']}/_simulator/stats")["submits_received"] == 0
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(10) == 0


@POSIX
def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'batcher.simulator', '--exit-with-parent'],"
        " stdin=subprocess.PIPE)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        place = json.loads(killed.stdout.readline())
        killed.kill()
        # The child holds the other end of this pipe: it reads as ended once the child is gone.
        assert killed.stdout.read() == ""
    with pytest.raises(OSError, match="refused"):
        ask(f"{place['origin']}/_simulator/stats")


@pytest.mark.parametrize(
    ("options", "words"), [(("--profile", "none.yaml"), "none.yaml"), (("--host", "192.0.2.1"), "")]
)
def test_a_process_that_cannot_start_says_why_in_one_line(options: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "batcher.simulator", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("simulator: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
