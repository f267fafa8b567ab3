"""A run of nothing to do needs no service, no token and no library for either; anything to do needs all of them."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import Cause, ServiceError
from batcher.core.job import Entry, State
from batcher.runner.records import STALE
from batcher.store import STATE, StateFile, connect_to_read, reading
from tests.commands.command_line import Came, Shell

COMMAND = ("run", "p.txt", "--simulate", "--rate", "200/s", "--progress", "none")
LOADED = """
import sys
from batcher.__main__ import main
code = main(sys.argv[1:])
print(sorted({"aiohttp", "PIL", "jsonschema_rs", "yaml"} & sys.modules.keys()), file=sys.stderr)
sys.exit(code)
"""


class Worked(ServiceError):  # noqa: N818  it says what happened
    """Raised where a run would open the service."""


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, whatever needs the service fails."""

    async def refuse(*_: Any) -> None:
        raise Worked("the service was needed")

    return lambda: monkeypatch.setattr("batcher.runner.work.work", refuse)


def moved(shell: Shell, call: Callable[[StateFile, Entry], Any]) -> None:
    """Does something to the first job of the run directory, between two runs."""
    state = StateFile(shell.folder / "runs/p" / STATE)
    entry = next(reading.entries(state.connection, list(State)))
    state.must_commit([partial(state.set_meta, **STALE), partial(call, state, entry)])
    state.close()


def needs_the_service(came: Came) -> bool:
    return came.code == 69 and "the service was needed" in came.err


def test_the_same_command_again_loads_nothing_for_a_service(shell: Shell) -> None:
    shell.simulated(3)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *COMMAND, "--json"], cwd=shell.folder, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] in {"[]", "['yaml']"}
    assert json.loads(done.stdout)["done"] == 3


def test_the_same_command_again_says_what_it_said(shell: Shell, at_work: Callable[[], None]) -> None:
    shell.simulated(3)
    first = shell(*COMMAND, "--json")
    at_work()
    second = shell(*COMMAND, "--json")
    assert second.code == 0
    assert {**second.json, "seconds": 0} == {**first.json, "seconds": 0}
    assert json.loads((shell.folder / "runs/p/report.json").read_text()) == second.json
    assert "3 of 3 jobs done: 3 simulated images" in shell(*COMMAND).out


def test_it_needs_no_token(shell: Shell, at_work: Callable[[], None]) -> None:
    shell.simulated(2)
    moved(shell, lambda state, _: state.set_meta(service="model-api.runcomfy.net", simulated=False))
    at_work()
    came = shell("run", "p.txt", "--progress", "none")
    assert came.code == 0
    assert "2 of 2 jobs done: 2 images" in came.out


def lost_and_unlisted(state: StateFile, entry: Entry) -> None:
    state.lose(entry, [])
    state.unlist([entry.id])


def failed(state: StateFile, entry: Entry) -> Entry:
    return state.fail_here(state.lose(entry, ["http://127.0.0.1/a.png"]), Cause(kind="gone", message="gone"))


BETWEEN: dict[str, Callable[[StateFile, Entry], Any]] = {
    "a job at the service": lambda state, entry: state.expire(state.lose(entry, [])),
    "a job to be downloaded": lambda state, entry: state.lose(entry, []),
    "one of them that left the manifest": lost_and_unlisted,
    "a job too few": lambda state, entry: state.unlist([entry.id]),
    "another manifest in between": lambda state, _: state.set_meta(fingerprint="another"),
    "a part of another manifest in between": lambda state, _: state.set_meta(fingerprint=None),
    "a run that the disk ended": lambda state, _: state.set_meta(stopped_by="disk"),
    "another service": lambda state, _: state.set_meta(service="model-api.runcomfy.net"),
    "no memory of the check": lambda state, _: state.set_meta(check=None),
}


@pytest.mark.parametrize("what", BETWEEN)
def test_anything_that_is_not_plainly_at_rest_goes_the_long_way(
    shell: Shell, at_work: Callable[[], None], what: str
) -> None:
    shell.simulated(3)
    moved(shell, BETWEEN[what])
    at_work()
    assert needs_the_service(shell(*COMMAND))


@pytest.mark.parametrize("change", ["a heron\n", "a kite over hill number 0\n"])
def test_an_edited_manifest_goes_the_long_way(shell: Shell, at_work: Callable[[], None], change: str) -> None:
    shell.simulated(3)
    shell.file("p.txt", (shell.folder / "p.txt").read_text() + change)
    at_work()
    assert needs_the_service(shell(*COMMAND))


@pytest.mark.parametrize("flags", [["--set", "seed=1"], ["--matrix", "seed=1..2"], ["--limit", "2"]])
def test_other_flags_go_the_long_way(shell: Shell, at_work: Callable[[], None], flags: list[str]) -> None:
    shell.simulated(3)
    at_work()
    assert needs_the_service(shell(*COMMAND, *flags))


def test_a_failed_job_stays_failed_until_it_is_retried(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.simulated(3)
    moved(shell, failed)
    shell("retry", "runs/p", "--dry-run")
    with monkeypatch.context() as patch:
        patch.setattr("batcher.runner.work.work", None)
        came = shell(*COMMAND, "--json")
        assert came.code == 3
        assert came.json["failed"] == 1
    lines = (shell.folder / "runs/p/failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["cause"]["kind"] for line in lines] == ["gone"], "they were stale"
    assert shell("retry", "runs/p", "--json").json["collected_again"] == 1
    came = shell(*COMMAND, "--json")
    assert (came.code, came.json["done"], came.json["submits"]) == (0, 3, 0)
    assert (shell.folder / "runs/p/failures.jsonl").read_text() == ""


def test_enough_failures_are_said_as_before(shell: Shell) -> None:
    shell.simulated(3)
    moved(shell, failed)
    came = shell(*COMMAND, "--max-failures", "1", "--json")
    assert (came.code, came.json["stopped_by"]) == (3, "max_failures")


def test_jobs_in_doubt_are_submitted_again_only_when_asked_for(shell: Shell, at_work: Callable[[], None]) -> None:
    shell.simulated(2)

    def doubted(state: StateFile, entry: Entry) -> None:
        state.fail_here(state.lose(entry, []), Cause(kind="x", message="x"))

    moved(shell, doubted)
    moved(shell, lambda state, entry: state.reopen(entry))
    moved(shell, lambda state, entry: state.doubt(state.claim(entry, 0.0), Cause(kind="timeout", message="late")))
    at_work()
    assert shell(*COMMAND).code == 5
    assert needs_the_service(shell(*COMMAND, "--in-doubt", "resubmit"))


@pytest.mark.parametrize("name", ["records.jsonl", "failures.jsonl"])
def test_tables_are_written_anew_when_they_are_gone_or_were_changed_and_only_then(
    shell: Shell, at_work: Callable[[], None], name: str
) -> None:
    shell.simulated(3)
    at_work()
    path: Path = shell.folder / "runs/p" / name
    before = path.stat().st_ino, path.read_bytes()
    assert shell(*COMMAND).code == 0
    assert (path.stat().st_ino, path.read_bytes()) == before
    path.unlink()
    assert shell(*COMMAND).code == 0
    assert path.read_bytes() == before[1]
    path.write_text("mine\n")
    assert shell(*COMMAND).code == 0
    assert path.read_bytes() == before[1]


@pytest.mark.parametrize("command", [["retry", "runs/p", "--state", "cancelled"], ["cancel", "runs/p", "--pending"]])
def test_commands_that_move_jobs_make_the_tables_stale(shell: Shell, command: list[str]) -> None:
    shell.simulated(3)

    def cancelled(state: StateFile, entry: Entry) -> None:
        state.cancel(state.expire(state.lose(entry, [])), 0.0)

    moved(shell, cancelled)
    moved(shell, lambda state, _: state.set_meta(tables="fresh"))
    assert shell(*command).code == 0
    with closing(connect_to_read(shell.folder / "runs/p")) as connection:
        assert reading.meta(connection, "tables") is None


def test_plan_of_an_unchanged_manifest_counts_without_comparing(shell: Shell) -> None:
    shell.simulated(3)
    moved(shell, failed)
    against = shell("plan", "p.txt", "--simulate", "--json").json["against"]
    assert (against["new"], against["unchanged"], against["gone"]) == (0, 3, 0)
    assert (against["done"], against["failed"]) == (2, 1)
