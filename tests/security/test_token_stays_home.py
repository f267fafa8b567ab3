"""The token goes to the API's own origin and nowhere else: whole runs with a token that can be recognised anywhere."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.client.token import find_token
from tests.security.ground import (
    ROOT,
    TOKEN,
    Service,
    batcher,
    command_lines,
    environment,
    files_with,
    found_in,
    ran,
    recorder,
    simulator,
    stop,
    to,
)
from tests.support.quick_start import own_interpreter

FAULTS = [
    {"where": "submit", "kind": "redirect", "count": 2},
    {"where": "submit", "kind": "reflect_token", "count": 3},
    {"where": "submit", "kind": "drop_after", "count": 1},
    {"where": "status", "kind": "reflect_token", "probability": 0.3},
    {"where": "result", "kind": "reflect_token", "probability": 0.05},
    {"where": "result", "kind": "redirect", "probability": 0.1},
    {"where": "result", "kind": "escape", "count": 1},
    {"where": "result", "kind": "url_untrusted", "count": 2},
    {"where": "result", "kind": "url_userinfo", "count": 2},
    {"where": "result", "kind": "url_backslash", "count": 2},
    {"where": "result", "kind": "url_ip", "count": 1},
    {"where": "result", "kind": "url_number", "count": 1},
    {"where": "file", "kind": "redirect_other", "count": 3},
    {"where": "file", "kind": "redirect_same", "count": 3},
    {"where": "file", "kind": "403", "count": 2},
    {"where": "catalog", "kind": "redirect", "count": 1},
    {"where": "catalog", "kind": "reflect_token", "skip": 4, "count": 1},
    {"where": "cancel", "kind": "reflect_token"},
]


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with simulator(tmp_path_factory.mktemp("service"), faults=FAULTS, tokens=[TOKEN]) as service:
        yield service


def manifest(folder: Path, jobs: int = 40) -> Path:
    path = folder / "kites.txt"
    path.write_text("".join(f"a kite over {folder.name} {number}\n" for number in range(jobs)))
    return path


def test_the_token_is_in_no_output_and_no_file_of_a_run_that_meets_every_leaky_fault(
    tmp_path: Path, leaky: Service
) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    run, prompts = tmp_path / "run", manifest(tmp_path)
    service = to(leaky)
    commands: list[tuple[str | Path, ...]] = [
        ("plan", prompts, "-o", run, *service),
        ("run", prompts, "-o", run, *service, "--token-file", secret, "--progress", "json", "--json"),
        ("run", prompts, "-o", run, *service, "--token-file", secret, "--progress", "lines"),
        ("status", run),
        ("status", run, "--json"),
        ("plan", prompts, "-o", run, *service, "--json"),
        ("retry", run, "--state", "in_doubt", "--dry-run"),
        ("retry", run, "--json"),
        ("cancel", run, "--base-url", leaky.base_url),
        ("run", prompts, "-o", run, *service, "--progress", "json"),
    ]
    for command in commands:
        alone = "--token-file" in command  # a process of its own, with nothing but the file to tell it
        done = batcher(*command, env=environment(None)) if alone else ran(*command)
        assert done.returncode in {0, 3, 5, 69}, (command, done.stderr)
        assert b"Traceback" not in done.stderr
        assert found_in(done.stdout + done.stderr) == [], command
        if run.exists():
            assert files_with(run) == {}, command
    stats = leaky.stats()
    assert stats["token_leaks"] == 0
    assert stats["strays"] == 0, "a request went to the untrusted host"
    assert len(stats["faults"]) >= len(FAULTS) - 3, f"too few of the faults were met: {stats['faults']}"


def test_a_service_that_repeats_the_token_is_quoted_without_it(tmp_path: Path) -> None:
    with simulator(tmp_path, faults=["submit:reflect_token"]) as service:
        done = ran("run", manifest(tmp_path, 3), "-o", tmp_path / "run", *to(service))
        assert done.returncode == 3
        assert b"bad header: Authorization: Bearer [token]" in done.stdout
        assert found_in(done.stdout + done.stderr) == []
        failures = (tmp_path / "run" / "failures.jsonl").read_text()
        assert failures.count("[token]") == 3


def test_a_refused_token_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    with simulator(tmp_path, tokens=["another"]) as service:
        for flags in ([], ["--json"]):
            done = ran("run", manifest(tmp_path, 3), "-o", tmp_path / "run", *to(service), *flags)
            assert done.returncode == 77
            assert b"refused the token" in done.stderr
            assert found_in(done.stdout + done.stderr) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_nobody_sees_the_token_in_the_process_list_or_in_the_files_of_a_going_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with simulator(tmp_path, tokens=[TOKEN], latency=1) as service:
        command = [sys.executable, "-m", "batcher", "run", str(manifest(tmp_path, 400)), "-o", str(run), *to(service)]
        with (
            own_interpreter(),
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as going,
        ):
            deadline = time.monotonic() + 30
            while not list((run / "images").rglob("*.png")) and time.monotonic() < deadline:
                time.sleep(0.02)
            seen = command_lines([going.pid])
            assert b"batcher" in seen, "it looked at the wrong processes"
            assert found_in(seen) == []
            assert (run / "state.db-wal").exists(), "the write-ahead log was to be looked at too"
            assert files_with(run) == {}
            out, complained = stop(going)
    assert going.returncode == 130
    assert found_in(out + complained) == []
    assert files_with(run) == {}


def test_a_token_in_the_base_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for url in (f"https://user:{TOKEN[:6]}KEEPme@runcomfy.example/v1", "https://KEEPme@runcomfy.example/v1"):
        done = ran("run", manifest(tmp_path, 1), "-o", tmp_path / "run", "--base-url", url)
        assert done.returncode == 64
        assert b"KEEPme" not in done.stdout + done.stderr
        assert not (tmp_path / "run").exists()


def test_neither_a_proxy_of_the_environment_nor_a_netrc_file_has_a_say(tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    with recorder() as (address, heads), simulator(tmp_path, tokens=[TOKEN]) as service:
        names = [f"{stem}_proxy" for stem in ("http", "https", "all")]
        env = environment(NETRC=str(netrc), **dict.fromkeys([*names, *map(str.upper, names)], address))
        done = batcher("run", manifest(tmp_path, 3), "-o", tmp_path / "run", *to(service), "--json", env=env)
        assert json.loads(done.stdout)["done"] == 3
        assert heads == []


def test_with_simulate_the_token_of_the_environment_is_not_used_at_all(tmp_path: Path) -> None:
    done = batcher("run", manifest(tmp_path, 2), "-o", tmp_path / "run", "--simulate", "--rate", "50/s")
    assert done.returncode == 0
    assert found_in(done.stdout + done.stderr) == []
    assert files_with(tmp_path / "run") == {}


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_a_token_file_that_others_can_read_is_warned_of_and_used(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    for mode, warned in ((0o644, True), (0o640, True), (0o604, True), (0o600, False), (0o400, False)):
        secret.chmod(mode)
        assert bool(find_token(str(secret), {}).warning) is warned, oct(mode)
    secret.chmod(0o644)
    with simulator(tmp_path, tokens=[TOKEN]) as service:
        run = tmp_path / "run"
        done = batcher(
            "run", manifest(tmp_path, 1), "-o", run, *to(service), "--token-file", secret, env=environment(None)
        )
    assert done.returncode == 0
    assert b"chmod 600" in done.stderr
    assert found_in(done.stdout + done.stderr) == []
