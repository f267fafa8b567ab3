"""The manual says what is: its tables are made from the code or held against it, its examples are run."""

import ast
import json
import re
import shutil
import sqlite3
from pathlib import Path

import click
import msgspec
import pytest
from msgspec.structs import fields

from batcher.__main__ import main
from batcher.commands import manual
from batcher.commands.cli import COMMANDS, load
from batcher.core import errors
from batcher.core.exit_codes import EXIT_CODES
from batcher.core.settings import PARSERS
from batcher.core.sidecar import SidecarFields
from batcher.manifest.paths import RESERVED
from batcher.manifest.readers import prompt_lines
from batcher.manifest.yaml.document import _TOP, RUN_OPTIONS
from batcher.runner.report import Report
from batcher.runner.stop import SEVERITY
from tests.docs import generated, readme

ROOT = readme.ROOT


def flags_of(command: click.Command) -> set[str]:
    return {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts} - {"--help"}


@pytest.mark.parametrize("path", generated.pages(), ids=lambda path: path.stem)
def test_what_is_made_from_the_code_is_up_to_date(path: Path) -> None:
    """When this fails: ``python -m tests.docs`` writes the pages anew."""
    assert path.read_text("utf-8") == generated.pages()[path]


def test_every_flag_anywhere_in_the_documentation_exists() -> None:
    # Of pip, pytest, .ci/run, systemctl, journalctl, uv and of lines of other tools' prompt files.
    flags = {"--help", "--quiet", "--show", "--dist", "--hypothesis-seed", "--lowest", "--newest", "--upgrade"}
    flags |= {"--user", "--now", "--with", "--python"}
    # Of sbatch and ray.
    flags |= {"--job-name", "--array", "--time", "--cpus-per-task", "--mem", "--signal", "--output", "--address"}
    flags |= {"--submission-id", "--no-wait", "--working-dir", "--runtime-env-json", "--head", "--disable-usage-stats"}
    flags |= {f"--{name}" for name in (*prompt_lines._A1111, *prompt_lines._KOHYA, "cfg")}
    for name in COMMANDS:
        flags |= flags_of(load(name))
    for path in readme.ALL:
        text = re.sub(r"<!--.*?-->", "", path.read_text("utf-8"))
        assert set(re.findall(r"(?<![\w<!-])--[a-z][a-z-]*", text)) - flags == set(), path.name


def test_every_topic_that_a_message_or_a_page_names_exists() -> None:
    topics = {page.name for page in manual.pages()} | set(COMMANDS)
    for path in [*(ROOT / "batcher").rglob("*.py"), *readme.ALL]:
        named = set(re.findall(r"batcher help ([a-z][\w-]*)", path.read_text("utf-8")))
        assert named <= topics, path


def test_every_flag_of_simulate_is_explained() -> None:
    firsts = " ".join(row[0] for row in readme.rows(readme.page("simulator")))
    explained = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", firsts))
    assert explained | {"--list-faults"} == flags_of(load("simulate"))


def test_the_exit_codes_are_those_of_the_code() -> None:
    raised = {kind.exit_code for kind in errors.BatcherError.__subclasses__()}
    assert list(EXIT_CODES) == sorted({0, *raised, *SEVERITY})


def test_every_claim_of_a_promise_names_a_test_that_exists() -> None:
    claims = list(readme.rows(readme.page("guarantees")))
    assert len(claims) > 25
    for claim, *shown in claims:
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", " ".join(shown))
        assert named, claim
        for file, test in named:
            tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
            assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (
                f"{file}::{test}"
            )


def test_the_layout_names_every_room() -> None:
    shown = {
        name
        for row in readme.rows(readme.section(readme.page("contributing"), "The layout"))
        for name in readme.words(row[0])
    }
    rooms = {f"{path.name}/" for path in (ROOT / "batcher").iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert rooms <= shown


def names_in(path: Path) -> set[str]:
    """What a module defines at its top level."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_where_to_begin_a_change_names_files_what_is_in_them_and_folders_of_tests() -> None:
    rows = list(readme.rows(readme.section(readme.page("contributing"), "Where to begin a change")))
    assert len(rows) > 20
    for change, places, folders in rows:
        path = None
        for word in readme.words(places):
            if "/" in word or "." in word:
                path = ROOT / "batcher" / word
                assert path.exists(), f"{change}: {word}"
            else:
                assert path is not None, f"{change}: {word} of no file"
                assert word in names_in(path), f"{change}: {word} is not in {path.name}"
        assert all((ROOT / "tests" / name).is_dir() for name in readme.words(folders)), folders


def test_every_key_of_a_manifest_is_in_the_reference() -> None:
    shown = list(readme.rows(readme.page("manifest")))
    keys = {word.split(".")[0].split("[")[0] for row in shown for word in readme.words(row[0])[:1]}
    assert set(_TOP) <= keys
    assert set(RUN_OPTIONS) <= set(PARSERS)


def test_every_field_of_a_path_is_in_the_reference() -> None:
    where = readme.section(readme.page("manifest"), "Where images go")
    shown = {name for row in readme.rows(where) for name in readme.words(row[0])}
    assert {f"{{{name}}}" for name in RESERVED} <= shown


def test_the_sidecar_is_listed_with_all_its_fields() -> None:
    shown = re.search(r"\*\*Sidecar\.\*\*(.*?)\n\n", readme.page("run-directory"), re.DOTALL)
    assert shown
    assert readme.words(re.sub(r"\([^)]*\)", "", shown[1])) == [
        field.name for field in fields(SidecarFields) if field.required
    ]


def test_the_report_is_listed_with_all_its_fields_and_their_types() -> None:
    words = {"StrType": "text", "IntType": "whole number", "FloatType": "number", "BoolType": "true or false"}
    words |= {"NoneType": "null", "DictType": "object", "ListType": "list"}
    report = msgspec.inspect.type_info(Report)
    assert isinstance(report, msgspec.inspect.StructType)
    made = []
    for field in report.fields:
        kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        made.append([f"`{field.name}`", " or ".join(words[type(kind).__name__] for kind in kinds)])
    shown = readme.rows(readme.section(readme.page("json"), "batcher run --json"))
    assert [row[:2] for row in shown] == made


def test_the_examples_of_manifests_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example, groups = readme.blocks(readme.page("manifest"), "yaml")[:2]
    (templates,) = readme.blocks(readme.page("templates"), "yaml")
    (tmp_path / "example.yaml").write_text(example, "utf-8")
    shutil.copy(ROOT / "samples" / "prompts.tsv", tmp_path)
    assert main(["plan", str(tmp_path / "example.yaml"), "--json"]) == 0
    # Three prompts of 16:9 x 3, 1:1 x 2 and 16:9/999; the heron has two times of day, two ratios and one seed.
    assert json.loads(capsys.readouterr().out)["jobs"] == 3 * 6 + 2 * 2
    (tmp_path / "faces.csv").write_text("prompt\na face\n", "utf-8")
    (tmp_path / "groups.yaml").write_text(groups, "utf-8")
    assert main(["plan", str(tmp_path / "groups.yaml"), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert {name: group["jobs"] for name, group in planned["groups"].items()} == {"wide": 40, "portraits": 5}
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
    (shown,) = [block for block in readme.blocks(readme.page("manifest"), "console") if "bad.yaml" in block]
    assert capsys.readouterr().err == shown.split("\n", 1)[1]


def test_the_queries_work_on_a_state_file(tmp_path: Path) -> None:
    shutil.copy(ROOT / "samples" / "finished" / "state.db", tmp_path)
    queries = re.findall(r'state\.db "(SELECT [^"]+)"', readme.page("run-directory"))
    assert len(queries) >= 4
    connection = sqlite3.connect(tmp_path / "state.db")
    answers = [connection.execute(query).fetchall() for query in queries]
    connection.close()
    assert answers[0] == [("done", 4)]


@pytest.mark.parametrize("path", readme.ALL, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", readme.without_code(text)):
        file, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        other = path.parent / file if file else path
        assert other.exists(), target
        assert not anchor or anchor in readme.anchors(other.read_text("utf-8")), target


@pytest.mark.parametrize("page", manual.pages(), ids=lambda page: page.name)
@pytest.mark.parametrize("width", [60, 100])
def test_every_page_is_shown_in_a_terminal_within_its_width(page: manual.Page, width: int) -> None:
    assert page.title
    text = manual.read(page.name)
    assert text is not None
    shown = manual.shown(text, width)
    assert "](" not in shown
    assert "<!--" not in shown
    code = {f"    {line}".rstrip() for line in "\n".join(readme.blocks(text, r"\w*")).splitlines()}
    for line in shown.splitlines():
        assert len(line) <= width or line in code or max(map(len, line.split())) > width // 3, line


def test_a_page_in_the_terminal_has_filled_paragraphs_lists_tables_and_code() -> None:
    text = "# One *page*\n\na [link](manifest.md#groups) and\n`code`\n\n- first point that is long\n- two\n\n"
    text += "| a | b | c |\n| --- | --- | --- |\n| `-x` | means | 3 |\n\n```bash\nls  *\n```\n<!-- generated: x -->\n"
    assert manual.shown(text, 24) == (
        "ONE *PAGE*\n\na link (`batcher help\nmanifest`) and `code`\n\n- first point that is\n  long\n- two\n\n"
        "  `-x`  means [c: 3]\n\n    ls  *\n"
    )
