"""README.md: one page, whose two commands are what continuous integration runs."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from batcher.commands.cli import COMMANDS
from batcher.manifest.extras import DISTRIBUTION, EXTRAS, install
from tests.docs import readme

ROOT = readme.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_it_is_one_page() -> None:
    assert len(readme.TEXT.split()) <= 1500


def test_the_two_set_up_commands_are_one_line_each_and_keep_apart() -> None:
    quickstart, tests = readme.marked("quickstart line"), readme.marked("test line")
    assert len(quickstart) == len(tests) == 1
    assert quickstart[0].endswith(" run jobs/quickstart.yaml --simulate")
    assert tests[0].endswith("-m pytest -n auto --dist worksteal")
    assert "-r lock.txt" in tests[0]
    assert set(re.findall(r"\.venv[\w-]*", quickstart[0])).isdisjoint(re.findall(r"\.venv[\w-]*", tests[0]))


def test_ci_finds_the_line_that_runs_the_tests() -> None:
    shown = subprocess.run(["bash", ".ci/run", "--show"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == readme.marked("test line")


def test_every_command_it_shows_exists() -> None:
    shown = set(re.findall(r"`batcher (\w+)", readme.TEXT)) | set(
        re.findall(r"^(?:\$ )?batcher (\w+)", readme.TEXT, re.MULTILINE)
    )
    assert shown <= set(COMMANDS)


def asked_for() -> list[Requirement]:
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    return [
        Requirement(text)
        for texts in (project["dependencies"], *extras, *groups)
        for text in texts
        if isinstance(text, str)
    ]


@pytest.mark.parametrize("file", ["lock.txt", ".ci/lowest.txt"])
def test_the_lock_file_has_what_the_project_asks_for_and_names_no_place(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    pins = [line.split(" ;")[0].split("==") for line in text.splitlines() if re.match(r"[a-z]", line)]
    versions = {name.lower().replace("_", "-"): Version(version) for name, version in pins}
    for requirement in asked_for():
        name = requirement.name.lower().replace("_", "-")
        if file == "lock.txt" or name in versions:
            assert requirement.specifier.contains(versions[name], prereleases=True), (file, requirement)
    assert not re.search(r"://|--index|--find-links|(?m:^/)|file:", text)


def test_the_hints_about_extras_are_those_of_the_project() -> None:
    declared = PROJECT["project"]["optional-dependencies"]
    assert PROJECT["project"]["name"] == DISTRIBUTION
    assert {name: tuple(Requirement(text).name for text in texts) for name, texts in declared.items()} == EXTRAS


@pytest.mark.parametrize(
    ("prefix", "has_pip", "command"),
    [
        ("/home/me/.local/share/pipx/venvs/prompt-batcher", True, "pipx inject prompt-batcher pyarrow"),
        ("/home/me/.local/share/uv/tools/prompt-batcher", False, "uv pip install --python PYTHON pyarrow"),
        ("/home/me/images/.venv", True, "PYTHON -m pip install pyarrow"),
    ],
)
def test_a_hint_installs_libraries_into_the_installation_at_hand_and_never_a_strangers_package(
    monkeypatch: pytest.MonkeyPatch, prefix: str, has_pip: bool, command: str
) -> None:
    monkeypatch.setattr("sys.prefix", prefix)
    monkeypatch.setattr("sys.executable", f"{prefix}/bin/python")
    monkeypatch.setattr("batcher.manifest.extras.find_spec", lambda _: object() if has_pip else None)
    assert install("pyarrow") == command.replace("PYTHON", f"{prefix}/bin/python")


def test_no_page_installs_the_distribution_by_name_as_it_is_in_no_registry() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "batcher" / "manual").glob("*.md"))]
    named = re.compile(rf"install [^`\n]*{DISTRIBUTION}(?!`; run)|--with {DISTRIBUTION}|inject {DISTRIBUTION}")
    assert [page.name for page in pages if named.search(page.read_text("utf-8").replace("pip uninstall", ""))] == []
