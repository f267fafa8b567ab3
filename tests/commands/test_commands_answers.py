"""What each command says and does, on small real runs and on state files made for the purpose."""

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from batcher.commands.cli import COMMANDS
from batcher.core.errors import Cause
from batcher.store import reading
from batcher.store.facts import Process
from batcher.store.lock import locked
from tests.support.command_line import Shell, assert_fits, assert_no_traceback
from tests.support.state_files import NOW, Book, a_job

PLAN = {
    "manifest", "run", "model", "prompts", "texts", "jobs", "jobs_without_limit", "axes", "first", "to_submit",
    "price_usd", "cost_usd", "cost_with_retries_usd", "seconds_at_rate", "rate", "budget_usd", "bytes",
    "bytes_free", "against", "groups", "warnings", "columns", "prompt_input", "missing",
}  # fmt: skip
REPORT = {
    "run", "total", "done", "failed", "cancelled", "in_doubt", "pending", "images", "bytes", "submits",
    "submits_total", "cost_usd", "seconds", "submit_rate", "rate_limited", "exit_code", "stopped_by",
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_fits(shell: Shell, command: str) -> None:
    came = shell(command, "--help")
    assert came.code == 0
    assert re.search(rf"\n *Examples.*:\n.*\bbatcher {command}", came.out)
    assert shell(command, "-h").out == came.out
    assert_fits(came.out)


def test_the_help_lists_every_command(shell: Shell) -> None:
    came = shell("--help")
    assert came.code == 0
    for command, words in COMMANDS.items():
        assert f"  {command} " in came.out
        assert words.split(".")[0].split(" ")[0] in came.out
    assert shell("--version").out.startswith("batcher, version ")


def test_plan_needs_no_token_and_no_network_and_makes_nothing(shell: Shell) -> None:
    shell.file("p.csv", "prompt,seed\na heron,1\na kite,2\n")
    came = shell("plan", "p.csv", "--matrix", "aspect_ratio=16:9,1:1", "--json")
    assert (came.code, came.err) == (0, "")
    facts = came.json
    assert set(facts) == PLAN
    assert (facts["jobs"], facts["prompts"], facts["to_submit"]) == (4, 2, 4)
    assert facts["axes"] == {"aspect_ratio": {"16:9": 2, "1:1": 2}}
    assert facts["first"][0]["inputs"] == {"prompt": "a heron", "seed": 1, "aspect_ratio": "16:9"}
    assert (facts["price_usd"], facts["cost_usd"], facts["against"]) == (None, None, None)
    assert (
        facts["missing"] == "no token was given: `batcher run` needs one (`batcher help service` says where to get it)"
    )
    assert facts["warnings"] == []
    assert shell.tree() == {"p.csv"}


def test_plan_reckons_time_and_cost_from_rate_and_price(shell: Shell) -> None:
    shell.file("p.txt", "a heron\n" * 60)
    facts = shell("plan", "p.txt", "--price", "0.05", "--rate", "30/min", "--limit", "50", "--json").json
    assert (facts["jobs"], facts["jobs_without_limit"]) == (50, 60)
    assert (facts["cost_usd"], facts["seconds_at_rate"]) == (2.5, 100.0)
    assert facts["cost_with_retries_usd"] == 5.0


def test_plan_against_a_run_shows_new_unchanged_and_gone(shell: Shell) -> None:
    shell.simulated(3)
    lines = (shell.folder / "p.txt").read_text().splitlines()
    shell.file("p.txt", "\n".join([*lines[:2], "a new one"]))
    before = shell.tree()
    came = shell("plan", "p.txt", "--json")
    against = came.json["against"]
    assert (against["new"], against["unchanged"], against["gone"], against["done"]) == (1, 2, 1, 2)
    assert came.json["to_submit"] == 1
    assert came.json["price_usd"] == 0.02  # remembered from the run
    assert "1 new, 2 unchanged (2 done), 1 removed from the manifest" in " ".join(shell("plan", "p.txt").out.split())
    assert {name for name in shell.tree() - before if not name.endswith(("-wal", "-shm"))} == set()


def test_plan_of_a_run_that_is_done_submits_nothing(shell: Shell) -> None:
    shell.simulated(3)
    assert shell("plan", "p.txt", "--json").json["to_submit"] == 0


def test_a_run_reports_as_json_what_it_writes_down(shell: Shell) -> None:
    shell.file("p.txt", "a heron\na kite\n")
    came = shell("run", "p.txt", "--simulate", "--rate", "200/s", "--progress", "none", "--json")
    assert (came.code, came.err) == (0, "")
    assert set(came.json) >= REPORT
    assert (came.json["done"], came.json["images"], came.json["exit_code"]) == (2, 2, 0)
    assert json.loads((shell.folder / "runs/p/report.json").read_text()) == came.json


def test_status_of_a_run_in_words_and_as_json(shell: Shell) -> None:
    shell.file("m.yaml", "prompts: [a kite, a gull, a boat]\n")
    run = "runs/m"
    words = ("--simulate", "--limit", "2", "--rate", "200/s", "--progress", "none")
    assert shell("run", "m.yaml", *words).code == 4
    came = shell("status", run)
    assert came.code == 0
    assert "(not running, simulated)" in came.out
    assert "Go on without --limit, or with a larger one:\n  batcher run" in came.out
    assert "--limit 2" not in came.out
    facts = shell("status", run, "--json").json
    assert (facts["total"], facts["done"], facts["pending"], facts["going"]) == (3, 2, 1, False)
    assert facts["failures"] == []
    assert_fits(came.out)


def test_status_of_nothing_says_what_would_make_something(shell: Shell) -> None:
    came = shell("status", "runs/p")
    assert came.code == 64
    assert "runs/p is not a run directory" in came.err
    assert shell.tree() == set()


def test_status_of_a_run_that_has_not_begun_shows_noughts(shell: Shell) -> None:
    with shell.run_directory():
        pass
    came = shell("status", "run")
    assert came.code == 0
    assert "0  in all" in came.out


def mixed(book: Book) -> None:
    """One failed by rejection, two lost at the service, one in doubt, one cancelled, one done, one pending."""
    book.failed(a_job(1))
    for number in (2, 3):
        book.do(book.state.fail_here, book.running(a_job(number)), Cause(kind="expired", message="no such request"))
    book.in_doubt(a_job(4))
    book.cancelled(a_job(5))
    book.done(a_job(6))
    book.pending(a_job(7))
    book.note(price_usd=0.02, command="batcher run p.txt")


def states(shell: Shell) -> dict[str, int]:
    with shell.run_directory() as book:
        return {str(state): count for state, count in reading.by_state(book.state.connection).items()}


BEFORE = {"failed": 3, "in_doubt": 1, "cancelled": 1, "done": 1, "pending": 1}
RETRIES: list[tuple[list[str], dict[str, Any], dict[str, int]]] = [
    (
        [],
        {"reopened": 1, "collected_again": 2, "left": 0, "may_cost_usd": 0.02},
        {"pending": 2, "running": 2, "in_doubt": 1, "cancelled": 1, "done": 1},
    ),
    (
        ["--resubmit"],
        {"reopened": 3, "collected_again": 0, "may_cost_usd": 0.06},
        {"pending": 4, "in_doubt": 1, "cancelled": 1, "done": 1},
    ),
    (
        ["--cause", "expired"],
        {"reopened": 0, "collected_again": 2, "left": 1, "left_by_cause": {"timeout": 1}},
        {"failed": 1, "running": 2, "in_doubt": 1, "cancelled": 1, "done": 1, "pending": 1},
    ),
    (
        ["--job", a_job(1).key[:8]],
        {"reopened": 1, "collected_again": 0, "left": 2, "left_by_cause": {"expired": 2}},
        {"failed": 2, "in_doubt": 1, "cancelled": 1, "done": 1, "pending": 2},
    ),
    (
        ["--state", "in_doubt"],
        {"reopened": 1, "collected_again": 0, "in_doubt": True},
        {"failed": 3, "cancelled": 1, "done": 1, "pending": 2},
    ),
    (
        ["--state", "cancelled", "--state", "failed"],
        {"reopened": 2, "collected_again": 2},
        {"pending": 3, "running": 2, "in_doubt": 1, "done": 1},
    ),
    (["--cause", "nothing"], {"reopened": 0, "collected_again": 0, "left": 3}, BEFORE),
]


@pytest.mark.parametrize(
    ("flags", "counts", "after"), RETRIES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_retry_reopens_what_it_was_told_to(
    shell: Shell, flags: list[str], counts: dict[str, Any], after: dict[str, int]
) -> None:
    with shell.run_directory() as book:
        mixed(book)
    dry = shell("retry", "run", *flags, "--dry-run", "--json")
    assert states(shell) == BEFORE
    came = shell("retry", "run", *flags, "--json")
    assert came.code == 0
    assert {name: came.json[name] for name in counts} == counts
    assert {**came.json, "dry_run": True} == dry.json
    assert states(shell) == after


def test_retry_takes_the_names_that_the_summary_shows(shell: Shell) -> None:
    job = a_job(1)
    with shell.run_directory() as book:
        book.failed(job)
        book.failed(a_job(2))
    assert job.prompt_id in shell("status", "run").out, "it is the example of its cause"
    for name in (job.prompt_id, job.key, job.key[:12], job.path, f"images/{job.path}", f"images/{job.path}.png"):
        assert shell("retry", "run", "--job", name, "--dry-run", "--json").json["reopened"] == 1, name
    assert shell("retry", "run", "--job", "another", "--dry-run", "--json").json["reopened"] == 0


def test_retry_says_in_words_what_it_did_and_may_cost(shell: Shell) -> None:
    with shell.run_directory() as book:
        mixed(book)
    came = shell("retry", "run", "--state", "in_doubt")
    assert "1 job reopened" in came.out
    assert "up to $0.02" in came.out
    assert "may be paid twice" in came.out
    assert "Now run:\n  batcher run p.txt" in came.out
    assert "Nothing to retry" in shell("retry", "run", "--state", "in_doubt").out
    assert_fits(came.out)


def test_beside_a_going_run_retry_and_more_do_not_ask_for_another_one(shell: Shell) -> None:
    with shell.run_directory() as book:
        mixed(book)
        book.note(process=Process(pid=os.getppid(), host=socket.gethostname()))
    with locked(shell.folder / "run"):
        came = shell("retry", "run", "--state", "in_doubt")
        assert came.out.endswith("The run that is going there takes them within a second.\n")
        came = shell("more", "run", "--seeds", "1", "--where", "seed > 0", "--yes")
        assert "When the run that is going there has ended, run:\n  batcher run p.txt" in came.out
    assert "Now run:" in shell("more", "run", "--seeds", "1", "--where", "seed > 0", "--yes").out


def test_retry_names_the_cause_that_was_probably_meant(shell: Shell) -> None:
    with shell.run_directory() as book:
        mixed(book)
    came = shell("retry", "run", "--cause", "expird")
    assert came.out.startswith("Nothing to retry: no failed job matches\n")
    assert "no failed job has the cause expird: did you mean expired?\n" in came.out
    partly = shell("retry", "run", "--cause", "expird", "--cause", "timeout", "--dry-run")
    assert "1 job would be reopened" in partly.out
    assert "no failed job has the cause expird: did you mean expired?" in partly.out


def test_a_retried_job_is_made_by_the_next_run(shell: Shell) -> None:
    run = shell.simulated(2, "--limit", "1")
    came = shell("cancel", run, "--pending")
    assert came.code == 0
    with shell.run_directory(run) as book:
        (entry,) = book.enlist(a_job(1))
        book.do(book.state.cancel, entry, NOW)
        book.do(book.state.unlist, [entry.id])
    shell.simulated(2)
    assert shell("status", run, "--json").json["done"] == 2


def test_cancel_closes_what_was_never_submitted_when_asked_to(shell: Shell) -> None:
    with shell.run_directory() as book:
        book.enlist(a_job(1), a_job(2))
        book.note(service="simulator", simulated=True)
    assert shell("cancel", "run", "--json").json == {
        "run": "run", "cancelled": 0, "too_late": 0, "unknown": 0, "closed": 0, "going": False,
    }  # fmt: skip
    came = shell("cancel", "run", "--pending")
    assert "2 waiting jobs cancelled" in came.out
    assert states(shell) == {"cancelled": 2}
    assert "2 jobs reopened" in shell("retry", "run", "--state", "cancelled").out
    assert states(shell) == {"pending": 2}


def test_cancel_of_what_the_service_does_not_know_keeps_the_ids(shell: Shell) -> None:
    with shell.run_directory() as book:
        book.running()
        book.note(service="simulator", simulated=True)
    came = shell("cancel", "run")
    assert came.code == 0
    assert "1 unknown: no readable answer; their ids are kept" in came.out
    assert states(shell) == {"running": 1}


def test_cancel_of_real_jobs_needs_the_token(shell: Shell) -> None:
    with shell.run_directory() as book:
        book.running()
        book.note(service="model-api.runcomfy.net", simulated=False, base_url="https://127.0.0.1:9/v1")
    came = shell("cancel", "run")
    assert came.code == 77
    assert states(shell) == {"running": 1}
    assert_no_traceback(came)


def test_a_real_process_plans_runs_and_shows(shell: Shell) -> None:
    manifest = b"a heron\na kite\n"
    came = shell.process("run", "-", "--simulate", "--rate", "200/s", "-o", "made", stdin=manifest)
    assert came.code == 0
    assert "2 of 2 jobs done: 2 simulated images" in came.out
    assert_fits(came.out)
    came = shell.process("status", "made", "--json")
    assert came.json["done"] == 2
    assert (Path(shell.folder) / "made" / "records.jsonl").read_text().count("\n") == 2
