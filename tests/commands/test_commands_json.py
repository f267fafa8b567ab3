"""Every ``--json`` is as the manual has it: each field is there, with its type, and no other."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from batcher.commands.cli import COMMANDS, load
from batcher.runner.report import Standing
from tests.support.command_line import Shell

PAGE = Path(__file__).parents[2] / "batcher" / "manual" / "json.md"
LOGS = PAGE.with_name("logs.md")
TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "whole number": (int,),
    "number": (int, float),
    "true or false": (bool,),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
}
MODEL = "google-deepmind/imagen-4/fast/text-to-image"
COMMAND_LINES = {  # {} stands for the run directory
    "run": ["run", "p.txt", "--simulate", "--progress", "none", "--json"],
    "plan": ["plan", "p.txt", "--simulate", "--json"],
    "status": ["status", "{}", "--json"],
    "retry": ["retry", "{}", "--json"],
    "cancel": ["cancel", "{}", "--simulate", "--json"],
    "verify": ["verify", "{}", "--json"],
    "export": ["export", "{}", "sets/p", "--to", "imagefolder", "--json"],
    "grid": ["grid", "{}", "--json"],
    "pick": ["pick", "{}", "--where", "width > 0", "yes", "--json"],
    "more": ["more", "{}", "--seeds", "1", "--where", "seed > 0", "--dry-run", "--json"],
    "tune": ["tune", "{}", "--rate", "3/s", "--json"],
    "doctor": ["doctor", "{}", "--json"],
    "init": ["init", "night", "--json"],
    "models": ["models", "--json"],
    "models show": ["models", "show", MODEL, "--json"],
}


def tables() -> dict[str, dict[str, str]]:
    """Command -> field -> type, as the page has them."""
    types = {}
    for part in PAGE.read_text("utf-8").split("\n## ")[1:]:
        name = part.partition("\n")[0].removeprefix("batcher ").removesuffix(" --json").removesuffix(" ID")
        types[name] = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+?) \|", part, re.MULTILINE))
    types["status"] |= {name: types["run"][name] for name in Standing.__struct_fields__}
    return types


def has_type(value: Any, words: str) -> bool:
    kinds = tuple(kind for word in re.split(r" or (?!false)", words) for kind in TYPES[word])
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


@pytest.fixture(scope="module")
def schema() -> dict[str, dict[str, str]]:
    return tables()


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_the_output_has_the_fields_of_the_manual(
    name: str, shell: Shell, schema: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:9/v1")  # nobody is asked
    run = str(shell.simulated(2, "--matrix", "seed=1..2"))
    came = shell(*(word.replace("{}", run) for word in COMMAND_LINES[name]))
    assert came.code in {0, 3}, came.out
    output = json.loads(came.out)  # and nothing else on standard output
    assert set(output) == set(schema[name])
    wrong = {field: value for field, value in output.items() if not has_type(value, schema[name][field])}
    assert not wrong


def test_progress_as_json_is_as_the_manual_has_it_and_the_output_has_only_the_report(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_NOTIFY", "nonsense://x")  # which is warned of
    rows = re.findall(
        r"^\| `(\w+)` \| ([a-z ]+?) \|", LOGS.read_text("utf-8").split("## Progress as JSON")[1], re.MULTILINE
    )
    shell.file("p.csv", "prompt,seed,extra\na kite,1,x\na hill,2,y\n")
    came = shell("run", "p.csv", "--simulate", "--progress", "json", "-v", "--json")
    assert json.loads(came.out)["done"] == 2
    lines = [json.loads(line) for line in came.err.splitlines()]
    assert {line["event"] for line in lines} == {"progress", "note", "end"}
    assert lines[-1]["event"] == "end"
    for line in lines:
        fields = dict(rows) if line.pop("event") != "note" else {"message": "text"}
        assert set(line) == set(fields)
        assert not [value for field, value in line.items() if not has_type(value, fields[field])]


def test_no_command_is_left_out(schema: dict[str, dict[str, str]]) -> None:
    with_json = {name for name in COMMANDS if any("--json" in option.opts for option in load(name).params)}
    assert with_json == {name.partition(" ")[0] for name in schema}
    assert set(schema) == set(COMMAND_LINES)


def test_an_error_is_json_too_and_in_words_on_standard_error(shell: Shell) -> None:
    came = shell("status", "nothing", "--json")
    assert came.code == 64
    assert set(json.loads(came.out)) == {"exit_code", "error", "hint"}
    assert "not a run directory" in came.err
