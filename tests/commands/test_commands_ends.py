"""Every way that a run can end: summary, ``status`` and ``report.json`` say the same, each class with its money."""

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from batcher.core.control import Control
from batcher.core.errors import DiskError
from batcher.runner.control import write_control
from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Simulator
from tests.support.command_line import Came as Printed
from tests.support.command_line import Shell
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run

RUN = "it's my run"
SLOW = Latency(kind="fixed", median=6.0)
COUNTS = ("done", "failed", "cancelled", "in_doubt", "pending")


def after(seconds: float, do: Callable[[Going], Any]) -> Callable[[Going], Any]:
    async def meddle(going: Going) -> None:
        await asyncio.sleep(seconds)
        do(going)

    return meddle


def interrupted(going: Going) -> None:
    going.context.stop.request(Reason.INTERRUPTED, "interrupted")


def disk_full(going: Going) -> None:
    going.context.table.failed(DiskError("the disk is full", hint="Make room."))


def drained(going: Going) -> None:
    write_control(going.context.table.state.path.parent, Control(drain=True, at=1.0))


FUSE = Fault(where="result", kind="failed_object")
LOST = Fault(where="submit", kind="drop_after", skip=3, count=2)
REFUSED = Fault(where="result", kind="content_policy", probability=0.2)
WAYS: dict[str, tuple[str | None, int, dict[str, Any], dict[str, Any]]] = {
    # stopped by, exit code, how the service is, how the run is
    "done": (None, 0, {}, {}),
    "interrupted": ("interrupted", 130, {"latency": SLOW}, {"meanwhile": after(9.0, interrupted), "rate": 2.0}),
    "budget": ("budget", 4, {}, {"budget": 0.3}),
    "limit": ("limit", 4, {}, {"limit": 7}),
    "deadline": ("deadline", 4, {"latency": SLOW}, {"deadline": 5.0, "rate": 2.0}),
    "out of balance": ("balance", 77, {"balance": 0.2}, {}),
    "fuse": ("fuse", 69, {"faults": (FUSE,)}, {"attempts": 1, "rate": 5.0}),
    "in doubt": (None, 5, {"faults": (LOST,)}, {}),
    "failures": (None, 3, {"faults": (REFUSED,)}, {}),
    "too many failures": ("max_failures", 3, {"faults": (REFUSED,)}, {"max_failures": 2, "rate": 2.0}),
    "disk full": ("disk", 73, {"latency": SLOW}, {"meanwhile": after(5.0, disk_full), "rate": 2.0}),
    "drained": ("drained", 4, {"latency": SLOW}, {"meanwhile": after(5.0, drained), "rate": 2.0}),
}


def ended(shell: Shell, way: str) -> Came:
    _, _, service, options = WAYS[way]
    manifest = shell.folder / "p.txt"
    manifest.write_text(lines(30))
    return run(go(shell.folder / RUN, manifest, Simulator(steady(**service)), **options))


def table(text: str) -> list[str]:
    """The lines of the table of states, and what belongs to it."""
    return [line for line in text.splitlines() if re.match(r" {2}[ 0-9,]{9} {2}[a-z]|\$.* more is uncertain", line)]


@pytest.mark.parametrize("way", WAYS)
def test_summary_status_and_report_say_the_same_however_a_run_ends_and_each_class_has_its_money(
    shell: Shell, way: str
) -> None:
    stopped_by, code, _, _ = WAYS[way]
    came = ended(shell, way)
    report = json.loads((shell.folder / RUN / "report.json").read_text())
    status, words = shell("status", RUN, "--json").json, shell("status", RUN).out
    assert (report["stopped_by"], report["exit_code"]) == (stopped_by, code)
    assert report == json.loads(json.dumps(came.report))
    shared = set(report) & set(status) - {"run", "warnings"}
    assert {name: report[name] for name in shared} == {name: status[name] for name in shared}
    assert set(status["ended"]) <= set(report)
    assert {name: report[name] for name in status["ended"]} == status["ended"]
    assert status["failures"] == report["causes"]
    assert sum(report[name] for name in COUNTS) == report["total"]
    assert sum(report["cost_by_state"].values()) == pytest.approx(report["cost_usd"])
    assert report["spent_usd"] + report["reserved_usd"] == pytest.approx(report["cost_usd"])
    shown = table(words)
    assert len(shown) >= 2
    if report["done"] < report["total"]:
        assert table(came.summary) == shown
    if stopped_by not in {None, "limit"}:
        assert report["message"] in " ".join(came.summary.split())
        assert report["message"] in " ".join(words.split())
    costs = report["cost_by_state"]
    each = {name: 0.02 * report[name] for name in ("done", "at_service", "to_download", "in_doubt") if report[name]}
    assert {name: costs[name] for name in each} == pytest.approx(each)
    if way == "fuse":
        assert report["unclear_usd"] == pytest.approx(0.02 * report["failed"])
        assert f"${report['unclear_usd']:.2f}".rstrip("0") in came.summary
    rows = {line.split("  ")[-1].strip(): line for line in table(came.summary)}
    if report["at_service"]:
        assert "collected first by the next run" in rows


def commands(text: str) -> list[str]:
    """What a person would paste: lines that are commands, and commands in backquotes."""
    pasted = [line.strip() for line in text.splitlines() if line.strip().startswith("batcher ")]
    return pasted + re.findall(r"`(batcher [^`]+)`", " ".join(text.split()))


def pasted(shell: Shell, text: str) -> Printed:
    """A line with && as a shell would do it."""
    came = Printed(0, "", "")
    for part in " ".join(text.split()).split(" && "):
        came = shell(*shlex.split(part)[1:])
        if came.code:
            return came
    return came


@pytest.mark.parametrize("way", ["in doubt", "failures", "fuse", "interrupted"])
def test_every_command_that_is_printed_can_be_pasted(shell: Shell, way: str) -> None:
    printed = commands(ended(shell, way).summary + shell("status", RUN).out + shell("doctor", RUN).out)
    assert printed or way == "failures"  # texts that were refused are not sent again as they stand
    for line in printed:
        verb, *words = shlex.split(line)[1:]
        if verb == "retry":
            assert shell(verb, *words, *(["--dry-run"] if "--dry-run" not in words else [])).code == 0, line
        elif verb not in {"run", "help"}:
            assert shell(verb, *words, "--help").code == 0, line
        assert verb == "help" or any(RUN in word for word in words), line


QUICK = ("--simulate", "--rate", "200/s", "--progress", "none")


def stopped(shell: Shell, *words: str) -> str:
    """A run directory with a blank and a quote in its name. Returns the run's last words."""
    shell.file("p.txt", lines(6))
    came = shell("run", "p.txt", "-o", RUN, *QUICK, *words)
    assert came.code == 4, came
    return came.out


@pytest.mark.parametrize("words", [("--budget", "0.04"), ("--limit", "2"), ("--budget=0.04",)])
@pytest.mark.parametrize("source", ["summary", "status"])
def test_what_a_stopped_run_says_to_type_goes_on_to_the_end(shell: Shell, words: tuple[str, ...], source: str) -> None:
    summary = stopped(shell, *words)
    text = summary if source == "summary" else shell("status", RUN).out
    assert pasted(shell, commands(text)[-1]).code == 0
    assert shell("status", RUN, "--json").json["done"] == 6


def test_a_budget_that_tune_set_is_raised_where_it_was_set(shell: Shell) -> None:
    stopped(shell, "--limit", "1")
    assert shell("tune", RUN, "--budget", "0.04").code == 0
    stopped_run = shell("run", "p.txt", "-o", RUN, *QUICK)
    assert stopped_run.code == 4
    for text in (stopped_run.out, shell("status", RUN).out):
        assert "The budget was set by tune. $0.12 would be enough" in " ".join(text.split())
    assert shell("tune", RUN, "--budget", "1").code == 0
    assert "The budget is $1.00 now" in shell("status", RUN).out
    assert shell("tune", RUN, "--budget", "0.04").code == 0
    assert pasted(shell, commands(stopped_run.out)[-1]).code == 0


def test_a_paused_run_says_what_lets_it_go_on(shell: Shell) -> None:
    stopped(shell, "--limit", "1")
    shell("tune", RUN, "--pause")
    stopped_run = shell("run", "p.txt", "-o", RUN, *QUICK)
    assert stopped_run.code == 4
    assert commands(stopped_run.out)[-1] == commands(shell("status", RUN).out)[-1]
    assert pasted(shell, commands(stopped_run.out)[-1]).code == 0


def test_tune_says_that_it_resumed_whatever_else_it_changed(shell: Shell) -> None:
    stopped(shell, "--limit", "1")
    shell("tune", RUN, "--pause")
    assert f"{RUN}: rate 1.0/s, resumed\n" in shell("tune", RUN, "--resume", "--rate", "1/s").out
    assert "resumed" not in shell("tune", RUN, "--resume", "--rate", "2/s").out, "it was not paused"


def test_a_deadline_that_tune_set_and_that_has_passed_is_taken_away(shell: Shell) -> None:
    stopped(shell, "--limit", "1")
    write_control(shell.folder / RUN, Control(deadline=1.0, at=1.0))
    stopped_run = shell("run", "p.txt", "-o", RUN, *QUICK)
    assert stopped_run.code == 4
    assert pasted(shell, commands(stopped_run.out)[-1]).code == 0
