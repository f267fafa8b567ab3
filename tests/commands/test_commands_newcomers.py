"""What a newcomer types: a file for a command, no RUN, a run directory for a manifest, flags of other tools."""

import json
import os
from pathlib import Path

import pytest

from tests.support.command_line import Shell


def test_a_file_in_place_of_a_command_says_what_to_type(shell: Shell) -> None:
    name = shell.file("my prompts.csv", "prompt\na kite\n")
    came = shell(name)
    assert came.code == 64
    assert "batcher run 'my prompts.csv'" in came.err


def test_a_run_directory_in_place_of_a_command_says_what_to_type(shell: Shell) -> None:
    came = shell(shell.simulated())
    assert came.code == 64
    assert "batcher run runs/p" in came.err


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("run", "p.txt", "--dry-run"), "batcher plan MANIFEST"),
        (("run", "p.txt", "--seed", "5"), "--set seed=VALUE"),
        (("plan", "p.txt", "--aspect-ratio", "1:1"), "--set aspect_ratio=VALUE"),
        (("run", "p.txt", "-n", "5"), "--limit N"),
    ],
)
def test_a_flag_of_another_tool_is_answered_with_ours(shell: Shell, words: tuple[str, ...], instead: str) -> None:
    came = shell(*words)
    assert came.code == 64
    assert instead in came.err


def test_a_command_without_run_takes_the_newest_and_says_so(shell: Shell) -> None:
    shell.simulated()
    older = shell.folder / "runs" / "older"
    older.mkdir()
    (older / "state.db").write_bytes(b"")
    os.utime(older / "state.db", (1, 1))
    came = shell("verify", "--json")
    assert came.code == 0
    assert came.json["run"] == "runs/p"
    assert "using runs/p, the newest run" in came.err


def test_without_any_run_the_error_says_how_to_start_one(shell: Shell) -> None:
    came = shell("verify")
    assert came.code == 64
    assert "there is no run below runs/" in came.err
    assert "batcher run" in came.err


@pytest.mark.parametrize("name", ["p", "p.txt", "runs/p"])
def test_a_run_is_found_by_its_name_and_by_its_manifest(shell: Shell, name: str) -> None:
    shell.simulated()
    assert shell("status", name, "--json").json["run"] == "runs/p"


def test_status_without_run_lists_all_of_them_and_one_that_is_broken(shell: Shell) -> None:
    assert "no run below runs/" in shell("status").out
    shell.simulated()
    broken = shell.folder / "runs" / "broken"
    broken.mkdir()
    (broken / "state.db").write_text("not a database, but long enough to be looked at")
    came = shell("status")
    assert came.code == 0
    assert "3/3" in came.out
    assert "runs/broken" in came.out
    assert {run["run"] for run in shell("status", "--json").json["runs"]} == {"runs/p", "runs/broken"}


def test_a_run_directory_in_place_of_the_manifest_resumes_its_own_command(shell: Shell) -> None:
    shell.file("p.txt", "a kite\na gull\na boat\n")
    assert shell("run", "p.txt", "--simulate", "--limit", "1", "--rate", "200/s", "-o", "runs/mine").code == 4
    came = shell("run", "runs/mine", "--limit", "3", "--json", "--progress", "none")
    assert came.code == 0, came
    assert came.json["done"] == 3
    assert shell("plan", "runs/mine", "--json").code == 0
    assert shell("run", "mine", "--limit", "3", "--progress", "none").code == 0
    assert list(Path(shell.folder / "runs").iterdir()) == [shell.folder / "runs" / "mine"]


def test_a_run_from_standard_input_can_not_be_repeated_and_that_is_said(shell: Shell) -> None:
    came = shell.process("run", "-", "--simulate", "-o", "runs/in", "--progress", "none", stdin=b"a kite\n")
    assert came.code == 0, came
    came = shell("run", "runs/in")
    assert came.code == 64
    assert "standard input" in came.err


def test_a_run_whose_manifest_is_elsewhere_says_where_it_was_started(shell: Shell) -> None:
    shell.simulated()
    (shell.folder / "p.txt").unlink()
    came = shell("run", "runs/p")
    assert came.code == 64
    assert "p.txt" in came.err


def test_init_writes_what_plans_and_runs_and_overwrites_nothing(shell: Shell) -> None:
    came = shell("init", "night", "--json")
    assert came.json["files"] == ["night/batch.yaml", "night/prompts.csv"]
    before = (shell.folder / "night/batch.yaml").read_bytes()
    assert shell("plan", "night/batch.yaml", "--simulate", "--json").json["jobs"] == 20
    came = shell("run", "night/batch.yaml", "--simulate", "--rate", "200/s", "--progress", "none", "--json")
    assert came.json["done"] == 20
    again = shell("init", "night")
    assert again.code == 64
    assert "Nothing was written" in again.err
    assert (shell.folder / "night/batch.yaml").read_bytes() == before


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: Shell, kind: str) -> None:
    came = shell("completion", kind)
    assert came.code == 0
    assert "_BATCHER_COMPLETE" in came.out


VALUES = ("batcher run --check st", "batcher run --set aspect", "batcher plan --model google")


def test_completion_offers_commands_flags_and_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.simulated()
    offered = {}
    for line in ("batcher st", "batcher status --j", "batcher verify ru", "batcher help exit", *VALUES):
        monkeypatch.setenv("_BATCHER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
        offered[line] = shell.process().out.split()
    assert offered["batcher st"] == ["plain,status"]
    assert offered["batcher status --j"] == ["plain,--json"]
    assert offered["batcher verify ru"] == ["plain,runs/p"]
    assert offered["batcher help exit"] == ["plain,exit-codes"]
    assert offered["batcher run --check st"] == ["plain,structure"]
    assert offered["batcher run --set aspect"] == ["plain,aspect_ratio="]
    assert offered["batcher plan --model google"] == ["plain,google-deepmind/imagen-4/fast/text-to-image"]


def test_completion_knows_the_catalogue_that_was_kept(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    base = "https://service.example/v1"
    schema = {"properties": {"prompt": {"type": "string"}, "size": {"type": "string", "enum": ["1K", "2K"]}}}
    entry = {"model_id": "vendor/great/text-to-image", "input_schema": schema, "required_inputs": ["prompt"]}
    (shell.folder / "cache/batcher").mkdir(parents=True)
    shell.file("cache/batcher/models-service.example.json", json.dumps({"at": 1.0, "models": [entry]}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shell.folder / "cache"))
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", base)
    monkeypatch.setenv("_BATCHER_COMPLETE", "bash_complete")
    offered = []
    for line in ("models show v", "run --model v", "run --model vendor/great/text-to-image --matrix size="):
        monkeypatch.setenv("COMP_WORDS", f"batcher {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
        offered.append(shell.process().out.split())
    model = "plain,vendor/great/text-to-image"
    assert offered == [[model], [model], ["plain,size=1K", "plain,size=2K"]]


def test_help_lists_the_manual_and_shows_its_pages_and_the_flags_of_commands(shell: Shell) -> None:
    contents = shell("help")
    assert contents.code == 0
    assert "exit-codes" in contents.out
    assert "130" in shell("help", "exit-codes").out
    assert "Usage: batcher verify" in shell("help", "verify").out
    came = shell("help", "exit-code")
    assert came.code == 64
    assert "'exit-codes'" in came.err
