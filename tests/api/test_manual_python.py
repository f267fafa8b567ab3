"""The pages about Python and about logs are true: the session runs, the tables are those of the code."""

import json
import logging
import re
from pathlib import Path

import pytest

from batcher.__main__ import main
from batcher.core import limits
from batcher.core.errors import BatcherError
from batcher.runner.watchers.events_log import EVENTS, clean
from batcher.runner.watchers.notify_hook import FACTS

MANUAL = Path(__file__).parents[2] / "batcher" / "manual"


def page(name: str) -> str:
    return (MANUAL / f"{name}.md").read_text("utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """The tables of a page: the first cell's name, and the other cells."""
    cells = re.findall(r"^\| `(\w+)[^|]*\| (.*) \|$", text, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in cells}


def test_the_session_of_the_manual_runs_and_says_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("batcher")
    level = logger.level
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page("python"), re.DOTALL)
    assert len(blocks) == 6
    try:
        for block in blocks:
            exec(compile(block, "manual/python.md", "exec"), names)
            out = capsys.readouterr().out
            for printed in re.findall(r"print\(.*\)  # (\S.*)$", block, re.MULTILINE):
                assert printed.removesuffix(" ...") in out
    finally:
        logger.setLevel(level)
    assert len(list(Path("sets/kites").rglob("*.png"))) == 1


def test_the_table_of_events_is_that_of_the_code() -> None:
    table = rows(page("logs").partition("## Progress as JSON")[0])
    for name, kind in EVENTS.items():
        level, meaning, fields = table[name]
        assert (level, meaning) == (logging.getLevelName(kind.level).lower(), kind.text)
        assert re.findall(r"`(\w+)`", fields) == kind.fields.split()
    assert {name: row[0] for name, row in table.items() if name in limits.WORDS} == limits.WORDS


def test_the_variables_of_the_hook_and_the_classes_of_errors_are_all_listed() -> None:
    assert {f"BATCHER_{name.upper()}" for name in FACTS} <= set(re.findall(r"`(BATCHER_\w+)`", page("messages")))
    codes = {kind.__name__: kind.exit_code for kind in BatcherError.__subclasses__()}
    assert {name: int(row[0]) for name, row in rows(page("python")).items() if name in codes} == codes


def test_a_log_has_only_documented_events_with_documented_fields_and_its_money_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("prompt,mood\na kite,calm\na hill,calm\n")
    for limit in ("1", "2"):
        main(["run", "p.csv", "--simulate", "--progress", "none", "--log", "log.jsonl", "--limit", limit])
    lines = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    for line in lines:
        allowed = {"ts", "level", "event", "run", *EVENTS[line["event"]].fields.split()}
        assert set(line) <= allowed
        assert line["level"] == logging.getLevelName(EVENTS[line["event"]].level).lower()
    assert {line["run"] for line in lines} == {"runs/p"}
    names = [line["event"] for line in lines]
    assert names[0] == "columns"
    assert names.count("run_start") == names.count("run_end") == 2
    assert names.count("submit") == names.count("result") == names.count("saved") == 2
    assert sum(line["cost_usd"] for line in lines if line["event"] == "saved") == pytest.approx(0.04)
    assert lines[-1]["spent_usd"] == pytest.approx(0.04)
    assert "a kite" not in Path("log.jsonl").read_text()


def test_a_run_that_does_not_start_is_an_event_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("prompt,aspect_ratio\na kite,17:9\n")
    assert main(["run", "p.csv", "--simulate", "--log", "log.jsonl", "--progress", "none"]) == 65
    assert main(["run", "p.csv", "--simulate", "--log", "log.jsonl", "--matrix", "seed=1..", "-o", "mine"]) == 64
    wrong, line = map(json.loads, Path("log.jsonl").read_text().splitlines())
    assert (wrong["event"], wrong["exit_code"], wrong["run"]) == ("start_failed", 65, "runs/p")
    assert (line["event"], line["exit_code"], line["run"]) == ("start_failed", 64, "mine")


def test_a_log_that_cant_be_written_is_refused_before_anything_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("a kite\n")
    assert main(["run", "p.txt", "--simulate", "--log", "no/such/folder.jsonl"]) == 73
    assert "--log no/such/folder.jsonl can't be written" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_secrets_and_queries_are_taken_out_of_words_from_outside() -> None:
    text = 'GET https://u:pw@host.example/a.png?sig=abc&t=1 "https://h/x#f" Authorization: Bearer abcdefgh12345678'
    cleaned = clean(text)
    for secret in ("pw@", "sig=", "t=1", "#f", "abcdefgh12345678"):
        assert secret not in cleaned
    assert "https://host.example/a.png" in cleaned
