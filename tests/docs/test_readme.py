"""README.md: one page, whose two commands are what continuous integration runs."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from batcher.commands.cli import COMMANDS
from batcher.manifest.extras import DISTRIBUTION, EXTRAS
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
