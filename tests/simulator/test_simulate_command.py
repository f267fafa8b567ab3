import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from batcher.commands.simulate import simulate

COMMAND = [sys.executable, "-c", "from batcher.commands.simulate import simulate; simulate()"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_it_says_where_it_is_serves_until_ctrl_c_and_sums_up(tmp_path: Path) -> None:
    options = ["--port", "0", "--fault", "submit:503", "--journal", str(tmp_path / "j")]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            lines = [server.stdout.readline() for _ in range(8)]
            origin = lines[0].split()[-1].removesuffix("/v1")
            assert f"--base-url {origin}/v1" in "".join(lines)
            assert "--trust-host 127.0.0.1" in "".join(lines)
            with urllib.request.urlopen(f"{origin}/_simulator/stats", timeout=10) as answer:
                assert json.load(answer)["submits_received"] == 0
            server.send_signal(signal.SIGINT)
            summary = server.stdout.read()
            assert "0 jobs accepted" in summary
            assert server.wait(10) == 0
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fault", "submit:droop"], "did you mean drop"),
        (["--latency", "soon"], "expected seconds"),
        (["--rate-limit", "0"], "rate_limit: Expected `float` > 0"),
        (["--profile", "none.yaml"], "none.yaml"),
        (["--host", "192.0.2.1"], "can't serve at 192.0.2.1:8765"),
        (["--fail", "2"], "0<=x<=1"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(options: list[str], words: str) -> None:
    result = CliRunner().invoke(simulate, options)
    assert result.exit_code == 2, "click's own number for usage errors; batcher turns it into 64"
    assert words in result.output


def test_it_lists_every_fault_and_its_help_has_examples() -> None:
    listed = CliRunner().invoke(simulate, ["--list-faults"])
    assert listed.exit_code == 0
    assert "file:truncated" in listed.output
    assert "submit:drop_after" in listed.output
    assert "Examples:" in CliRunner().invoke(simulate, ["--help"]).output


def test_importing_the_command_does_not_import_the_simulator() -> None:
    code = "import sys, batcher.commands.simulate as _; print([m for m in ('aiohttp', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
