"""`batcher models`: with and without the service."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from batcher.commands.cli import cli
from batcher.core.errors import UsageError


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY", "YOUR_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def printed(*words: str) -> str:
    done = CliRunner().invoke(cli, ["models", *words], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.output


def test_imagen_is_shown_without_a_token() -> None:
    text = printed("show")
    assert "16:9, 4:3, 1:1, 3:4, 9:16" in text
    assert "no token was given" in text


def test_its_price_is_given_with_its_source_where_the_service_is_not_asked() -> None:
    assert "price: not published; elsewhere $0.02 per image (Google, fal, Replicate;" in " ".join(
        printed("show").split()
    )
    assert json.loads(printed("show", "--json"))["price_usd"] is None  # a budget does not reckon with it


def test_a_wrong_id_is_answered_with_the_near_one_and_the_search() -> None:
    near = "Did you mean google/nano-banana-2/text-to-image? "
    for wrong, hint in (("google/nano-banana-2/text-to-imag", near), ("nano_banana-2", near), ("xyz", "")):
        done = CliRunner().invoke(cli, ["models", "show", wrong, "--simulate"], standalone_mode=False)
        assert isinstance(done.exception, UsageError)
        assert done.exception.hint == f"{hint}`batcher models WORDS` finds ids by words of their names."


def test_the_list_of_a_service_is_searched_by_words() -> None:
    facts = json.loads(printed("nano", "text-to-image", "--simulate", "--json"))
    assert [model["model"] for model in facts["models"]] == ["google/nano-banana-2/text-to-image"]
    assert facts["models"][0]["price_usd"] == 0.02


def test_the_manifest_of_every_model_is_one_that_plan_takes(tmp_path: Path) -> None:
    for model in json.loads(printed("--simulate", "--json"))["models"]:
        Path("m.yaml").write_text(printed("show", model["model"], "--simulate", "--manifest"))
        done = CliRunner().invoke(cli, ["plan", "m.yaml", "--simulate", "--json"], standalone_mode=False)
        assert done.exception is None, (model["model"], done.exception, Path("m.yaml").read_text())
        assert json.loads(done.output)["jobs"] == 1
