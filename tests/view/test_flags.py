"""Flags where people meet them: in status, in --where of every command, on their way to the page."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from batcher.core.where import Where, WhereError
from batcher.images.flagging import MEASURES, Measures, flag_all
from batcher.store import connect_to_read
from tests.support.big_run import make_run
from tests.support.browser import Served
from tests.support.command_line import Shell, without_settings
from tests.support.raw_http import ask, page_headers
from tests.view.test_server import index, keys


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    return Shell(tmp_path, capsys)


@pytest.fixture
def varied(tmp_path: Path) -> Path:
    """Eight jobs of two groups; their drawn pictures have few colours."""
    run = tmp_path / "night"
    make_run(run, 8)
    return run


def test_status_counts_flags_and_says_how_to_see_them(varied: Path, shell: Shell) -> None:
    facts = shell("status", "night", "--json").json
    assert facts["unmeasured"] == 0
    assert facts["flags"]["low-entropy"] == 8
    assert "flag:low-entropy" in shell("status", "night").out


@pytest.mark.parametrize("where", ["flag:low-entropy", '"low-entropy" in flag', "not flag:blank"])
def test_every_command_with_where_knows_flags(varied: Path, shell: Shell, where: str) -> None:
    assert "8 images" in shell("pick", "night", "--where", where, "yes").out
    assert shell("export", "night", "set", "--to", "imagefolder", "--where", where).code == 0
    assert len(list((shell.folder / "set").rglob("*.png"))) == 8
    assert shell("grid", "night", "--where", where, "--json").json["pictures"] == 8
    assert shell("more", "night", "--seeds", "1", "--where", where, "--yes", "--json").json["jobs"] == 2


def test_a_flag_that_there_is_not_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(WhereError, match="did you mean near-duplicate"):
        Where("seed < 3 and flag:near-dublicate")
    assert Where('"flag:blank" in prompt and flag:blank').names == {"prompt", "flag"}


def test_an_image_is_measured_once(varied: Path) -> None:
    with closing(connect_to_read(varied)) as connection:
        assert len(flag_all(varied, connection, 0).left) == 8  # nobody looked
        flag_all(varied, connection)
        assert len((varied / MEASURES).read_text().splitlines()) == 8
        for file in (varied / "images").glob("*.png"):
            file.unlink()
        assert flag_all(varied, connection).counts()["low-entropy"] == 8
    with (varied / MEASURES).open("a") as measures:
        measures.write('["half')
    assert len(Measures(varied).by_sha256) == 8


def test_an_image_that_is_gone_or_damaged_stays_unmeasured_and_stops_nothing(varied: Path) -> None:
    first, second = (varied / f"images/16x9-{colour}.png" for colour in ("395b64", "a5c9ca"))
    first.unlink()
    second.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with closing(connect_to_read(varied)) as connection:
        assert len(flag_all(varied, connection).left) == 2


def test_the_ratios_that_imagen_really_gives_are_not_wrong(varied: Path) -> None:
    with closing(connect_to_read(varied)) as connection:
        assert "wrong-ratio" not in flag_all(varied, connection).counts()  # 1408x768 for 16:9


def test_the_page_measures_while_it_is_open_and_hears_of_flags(served: Served, run: Path) -> None:
    end = time.monotonic() + 20
    while len(Measures(run).by_sha256) < 24 and time.monotonic() < end:  # files that the 34 pictures share
        ask(served, "/runs/night/changes", **page_headers(served))
        time.sleep(0.1)
    flags: list[str] = []
    while "low-entropy" not in flags and time.monotonic() < end:
        time.sleep(0.1)
        flags = {one[0]: one[2] for one in index(served)["flags"]}.get(keys(run)[-1], [])
    assert "low-entropy" in flags
