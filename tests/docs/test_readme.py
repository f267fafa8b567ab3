"""The README says what is: its tables are held against the code, its examples are run."""

import ast
import json
import re
import shutil
import sqlite3
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest

from batcher.__main__ import main
from batcher.commands.cli import COMMANDS
from batcher.commands.run import run
from batcher.commands.simulate import simulate
from batcher.core import errors
from batcher.core.job import Artifact, Entry, Job, State, sidecar
from batcher.core.settings import PARSERS
from batcher.manifest.paths import RESERVED
from batcher.manifest.readers import prompt_lines
from batcher.manifest.yaml.document import _TOP, RUN_OPTIONS
from batcher.runner.stop import Reason
from tests.docs import readme

ROOT = readme.ROOT


def flags_of(command: click.Command) -> set[str]:
    return {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts} - {"--help"}


def flags_in(text: str) -> set[str]:
    firsts = " ".join(row[0] for row in readme.rows(text))
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", firsts))


def test_every_flag_of_run_is_in_the_table_and_no_other() -> None:
    assert flags_in(readme.section("Flags of `run`")) == flags_of(run)


def test_every_flag_of_simulate_is_in_the_readme_and_no_other() -> None:
    assert flags_in(readme.section("The simulator")) | {"--list-faults"} == flags_of(simulate)


def test_every_flag_anywhere_in_the_readme_exists() -> None:
    known = {"--help", "--quiet", "--show", "--no-deps", "--dist", "--hypothesis-seed"}  # also of pip, pytest, .ci/run
    known |= {f"--{name}" for name in (*prompt_lines._A1111, *prompt_lines._KOHYA, "cfg")}  # of lines of other tools
    for name in COMMANDS:
        known |= flags_of(getattr(import_module(f"batcher.commands.{name}"), name))
    told = set(re.findall(r"(?<![\w<!-])--[a-z][a-z-]*", re.sub(r"<!--.*?-->", "", readme.TEXT)))
    assert told - known == set()


def test_every_command_has_a_section() -> None:
    told = {title.split()[1].strip("`") for title in readme.titles() if title.startswith("`batcher ")}
    assert told == set(COMMANDS)


def test_the_exit_codes_are_those_of_the_code() -> None:
    raised = {kind.exit_code for kind in errors.BatcherError.__subclasses__()}
    codes = raised | {reason.exit_code for reason in Reason} | {0, 1, 3, 5}
    told = [int(row[0]) for row in readme.rows(readme.section("Exit codes"))]
    assert told == sorted(codes)


def test_every_test_that_a_promise_names_exists() -> None:
    named = readme.tests_named()
    assert len(named) > 25
    for file, test in named:
        tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


def test_every_claim_of_a_promise_names_a_test() -> None:
    claims = list(readme.rows(readme.section("What is guaranteed")))
    assert claims
    assert [claim for claim, *shown in claims if not re.search(r"::test_\w+", " ".join(shown))] == []


def test_the_layout_names_every_module_and_no_other() -> None:
    layout = readme.section("Working on the code")
    found = {path.name + "/" * path.is_dir() for path in (ROOT / "batcher").iterdir() if path.name[0] not in "._"}
    ours = {name for name in found if name.endswith((".py", "/"))} | {"__main__.py"}
    told = {name for row in readme.rows(layout) for name in readme.words(row[0])}
    folders = {path.parent.name + "/" for path in (ROOT / "tests").glob("*/*.py")}
    assert told == ours | folders


def test_every_key_of_a_manifest_is_in_the_reference() -> None:
    told = list(readme.rows(readme.section("The manifest")))
    keys = {word.split(".")[0].split("[")[0] for row in told for word in readme.words(row[0])[:1]}
    assert set(_TOP) <= keys
    (options,) = [row[1] for row in told if row[0] == "`run`"]
    assert {word for word in readme.words(options) if re.fullmatch("[a-z_]+", word)} - {"_"} == set(PARSERS)
    assert set(RUN_OPTIONS) == set(PARSERS)


def test_every_field_of_a_path_is_in_the_reference() -> None:
    told = {name for row in readme.rows(readme.section("Where images go")) for name in readme.words(row[0])}
    assert {f"{{{name}}}" for name in RESERVED} <= told


def test_the_sidecar_and_the_report_are_listed_with_all_their_fields() -> None:
    job = Job(
        key="0" * 32, model="m", inputs={}, copy=1, prompt_id="p", meta={}, source="s", line=1, path="p"
    )  # fmt: skip
    artifact = Artifact(
        file="f", bytes=1, sha256="", mime="", width=1, height=1, url="", output_index=0, output_count=1,
        downloaded_at=0,
    )  # fmt: skip
    made = sidecar(Entry(id=1, job=job, state=State.DONE, path="p"), artifact, simulated=True, version="0")
    told = re.search(r"\*\*Sidecar\.\*\*(.*?)\n\n", readme.TEXT, re.DOTALL)
    assert told
    listed = readme.words(re.sub(r"\([^)]*\)", "", told[1]))
    assert listed == list(made)


def test_the_example_of_a_manifest_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example, groups, templates = readme.blocks(readme.section("The manifest"), "yaml")
    (tmp_path / "example.yaml").write_text(example, "utf-8")
    shutil.copy(ROOT / "samples" / "prompts.tsv", tmp_path)
    assert main(["plan", str(tmp_path / "example.yaml"), "--json"]) == 0
    # Three prompts of 16:9 x 3, 1:1 x 2 and 16:9/999; the heron has two times of day, two ratios and one seed.
    assert json.loads(capsys.readouterr().out)["jobs"] == 3 * 6 + 2 * 2
    (tmp_path / "faces.csv").write_text("prompt\na face\n", "utf-8")
    (tmp_path / "groups.yaml").write_text(groups, "utf-8")
    assert main(["plan", str(tmp_path / "groups.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: group["jobs"] for name, group in told["groups"].items()} == {"wide": 40, "portraits": 5}
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "season.txt").write_text("spring\nautumn\n", "utf-8")
    (tmp_path / "templates.yaml").write_text(templates, "utf-8")
    assert main(["plan", str(tmp_path / "templates.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == 2 * 2 * 2 + 3 + 4


def test_the_example_of_errors_is_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = "# two mistakes\nprompts:\n  - A fox\n  - 42\n  - prompt: A heron\n    aspect_ration: 16:9\n"
    Path("bad.yaml").write_text(manifest, "utf-8")
    assert main(["plan", "bad.yaml"]) == 65
    (shown,) = [block for block in readme.blocks(readme.TEXT, "console") if "bad.yaml" in block]
    assert capsys.readouterr().err == shown.split("\n", 1)[1]


def test_the_queries_work_on_a_state_file(tmp_path: Path) -> None:
    shutil.copy(ROOT / "samples" / "finished" / "state.db", tmp_path)
    queries = re.findall(r'state\.db "(SELECT [^"]+)"', readme.section("The run directory"))
    assert len(queries) == 4
    connection = sqlite3.connect(tmp_path / "state.db")
    answers = [connection.execute(query).fetchall() for query in queries]
    connection.close()
    assert answers[0] == [("done", 4)]
    assert [len(answer) for answer in answers[1:]] == [0, 1, 4]


def test_links_lead_somewhere() -> None:
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in readme.titles()}
    for target in re.findall(r"\]\(([^)]+)\)", readme.TEXT):
        assert target.startswith("https://") or (
            target[1:] in anchors if target.startswith("#") else (ROOT / target).exists()
        ), target


def test_the_two_set_up_commands_are_one_line_each_and_keep_apart() -> None:
    quickstart, tests = readme.marked("quickstart line"), readme.marked("test line")
    assert len(quickstart) == len(tests) == 1
    assert quickstart[0].endswith(" run jobs/quickstart.yaml --simulate")
    assert tests[0].endswith("-m pytest -n auto --dist worksteal")
    assert set(re.findall(r"\.venv[\w-]*", quickstart[0])).isdisjoint(re.findall(r"\.venv[\w-]*", tests[0]))


def test_ci_finds_the_line_that_runs_the_tests() -> None:
    shown = subprocess.run(["bash", ".ci/run", "--show"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == readme.marked("test line")
