"""Options of the Python API are the flags of the command, by the same names and the same parsers."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher.api.options import NAMES, command, options_of, recorded, texts_of
from batcher.commands.run import run as command_of_run
from batcher.core.settings import fold


def flags(**given: Any) -> Any:
    return fold(options_of("m.txt", None, texts_of(given)).flags, {})


def test_python_values_and_the_texts_of_flags_mean_the_same() -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"rate": 5.0, "budget": 25, "in_flight": 64}, {"rate": "5/s", "budget": "$25", "in_flight": "64"}),
        ({"timeout": 90, "deadline": timedelta(hours=8)}, {"timeout": "90s", "deadline": "8h"}),
        ({"embed": ["xmp", "iptc"], "fuse": "none"}, {"embed": "xmp,iptc", "fuse": "none"}),
        ({"rate": 1e-5}, {"rate": "0.00001"}),
        ({"cancel_on_interrupt": True}, {"cancel_on_interrupt": True, "rate": None}),
    ]
    for python, texts in pairs:
        assert flags(**python) == flags(**texts)


def test_every_option_is_a_flag_of_the_command() -> None:
    flags = {flag.removeprefix("--").replace("-", "_") for param in command_of_run.params for flag in param.opts}
    assert set(NAMES) <= flags


def test_every_flag_of_the_command_is_an_option() -> None:
    flags = {param.opts[0].removeprefix("--").replace("-", "_") for param in command_of_run.params if param.opts}
    of_the_terminal = {"o", "out", "manifest", "json", "as_json", "help", "verbose", "v", "_v", "_o", "view"}
    assert flags - set(NAMES) - of_the_terminal == set()


def test_axes_and_defaults_are_dicts() -> None:
    texts = texts_of(
        {"matrix": {"seed": range(4), "aspect_ratio": ["1:1", "16:9"]}, "set": {"negative_prompt": "a, b"}}
    )
    assert texts["matrix"] == ["seed=0..3", 'aspect_ratio=["1:1", "16:9"]']
    assert options_of("m", None, texts).overrides.set == (("negative_prompt", "a, b"),)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ratee": 5}, "did you mean `rate`"),
        ({"rate": "fast"}, "a rate looks like"),
        ({"limit": 0}, "limit '0'"),
        ({"dynamic": "yes"}, "must be True or False"),
        ({"set": 7}, "must be a dict"),
        ({"budget": object()}, "can't be used for it"),
    ],
)
def test_a_bad_option_is_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(batcher.UsageError) as refused:
        flags(**given)
    assert words in str(refused.value)
    assert refused.value.exit_code == 64


def test_the_command_that_is_recorded_gives_the_same_options_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"simulate": True, "rate": 50, "matrix": {"seed": [1, 2]}, "set": {"aspect_ratio": "1:1"}, "limit": 1}
    batcher.run(["a kite"], out="my run", **given)  # type: ignore[arg-type]
    manifest, texts = recorded(Path("my run"))
    assert manifest == "my run/manifest.jsonl"
    assert texts == texts_of(given)
    assert shlex.split(command(manifest, "my run", texts))[:3] == ["batcher", "run", "my run/manifest.jsonl"]


def test_a_value_of_another_type_is_refused_in_words(a_run: Any) -> None:
    refused: list[tuple[Any, str]] = [
        (lambda run: run.export("set", to="imagefolder", split=3), "--split '3'"),
        (lambda run: run.export("set", to="imagefolder", copy=1), "copy=1: it must be True or False"),
        (lambda run: run.export("set", to="imagefolder", splits="a"), "export has no option 'splits'"),
        (lambda run: run.export(3, to="imagefolder"), "folder=3: it must be a path"),
        (lambda run: run.pick(None, "yes", best="1"), "best='1': it must be a whole number"),
        (lambda run: run.pick("seed == 1", "yes", stars=9), "--stars 9: a number from 0 to 5"),
        (lambda run: run.pick(None, best=1, rest="maybe"), "--rest maybe: no or clear"),
        (lambda run: run.images(3), "where=3: it must be a text"),
        (lambda run: run.more("2"), "seeds='2': it must be a whole number"),
        (lambda _run: batcher.run("", simulate=True), "manifest='': it must be a path"),
        (lambda _run: batcher.run(["a kite"], out=3, simulate=True), "out=3: it must be a path"),  # type: ignore[arg-type]
    ]
    for call, words in refused:
        with pytest.raises(batcher.UsageError, match=re.escape(words)):
            call(a_run)


def test_options_of_pick_and_export_are_python_values(a_run: Any) -> None:
    run = a_run
    assert run.pick("seed == 1", "yes", tags="good")["written"] == 1
    assert run.images('pick == "yes"')[0].tags == ("good",)
    Path("scores.csv").write_text(f"job,score\n{run.images()[0].job},3\n")
    assert run.pick(None, scores="scores.csv", best=1)["written"] in {0, 1}
    assert run.export("set", to="imagefolder", split={"train": 0.5, "test": 0.5})["pictures"] == 2


@pytest.fixture
def a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    batcher.run(["a kite"], out="run", simulate=True, rate=100, matrix={"seed": [1, 2]})
    return batcher.open("run")
