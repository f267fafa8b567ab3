"""The folder of an export: what is ours in it, what is not, and what a kill leaves behind."""

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import DiskError
from batcher.runner.progress import Bar
from batcher.store import locked
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, redo, seeds, tree, unlist

TARGETS = {
    "imagefolder": (),
    "captions": (),
    "webdataset": ("--shard-count", "2"),
    "parquet": ("--shard-count", "2"),
    "layout": ("--layout", "{prompt}/{index}"),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return a_run(tmp_path / "run", seeds(["a", "b"], 3))


@pytest.mark.parametrize("to", TARGETS)
def test_again_adds_what_is_new_and_makes_nothing_twice(to: str, exported: Any, run: Path, tmp_path: Path) -> None:
    exported(run, to, *TARGETS[to])
    before = {
        path: path.stat().st_ino
        for path in (tmp_path / "out").rglob("*.*")
        if path.suffix not in {".md", ".json", ".jsonl"}
    }
    again = exported(run, to, *TARGETS[to])
    assert (again["linked"], again["copied"], again["removed"]) == (0, 0, 0)
    assert {path: path.stat().st_ino for path in before} == before
    a_run(run, seeds(["c"], 2))
    assert exported(run, to, *TARGETS[to])["pictures"] == 8
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    exported(run, to, *TARGETS[to], folder="fresh")
    grown, fresh = tree(tmp_path / "out"), tree(tmp_path / "fresh")
    assert grown.keys() == fresh.keys()
    assert {name for name in grown if grown[name] != fresh[name]} <= {"README.md"}  # it bears the folder's name


@pytest.mark.parametrize("to", TARGETS)
def test_what_left_the_manifest_goes_and_what_others_put_there_stays(
    to: str, exported: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, to, *TARGETS[to])
    out = tmp_path / "out"
    (out / "notes.md").write_text("mine")
    (out / "mine").mkdir()
    (out / "mine" / "a.png").write_bytes(b"mine")
    unlist(run, "a")
    report = exported(run, to, *TARGETS[to])
    assert report["left_out"] == {"no longer in the manifest": 3}
    assert report["removed"] > 0
    files = tree(out)
    assert (files.pop("notes.md"), files.pop("mine/a.png")) == (b"mine", b"mine")
    exported(run, to, *TARGETS[to], folder="fresh")
    assert files.keys() == tree(tmp_path / "fresh").keys()
    assert exported(run, to, *TARGETS[to], "--include-removed", "--replace")["pictures"] == 6


def test_a_folder_that_is_somebody_elses_is_refused_untouched(batcher: Batcher, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "photo.png").write_bytes(b"mine")
    for words in ((), ("--replace",)):
        came = batcher("export", run, out, "--to", "captions", *words)
        assert came.code == 64
        assert "photo.png" in came.err
    assert [path.name for path in out.iterdir()] == ["photo.png"]
    (tmp_path / "file").write_text("x")
    assert batcher("export", run, tmp_path / "file", "--to", "captions").code == 64
    assert batcher("export", run, run, "--to", "captions").code == 64
    (tmp_path / "link").symlink_to(run / "images")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    own = (run / "images/new", run / "lost+found/x", tmp_path / "link/new", run / "../run/images/new")
    for folder in (*own, tmp_path / "nowhere"):
        assert batcher("export", run, folder, "--to", "captions").code == 64
        assert not folder.exists()
    came = batcher("export", run, tmp_path / ("long" * 100), "--to", "captions", "--json")
    assert (came.code, "can't have that name" in came.err) == (came.json["exit_code"], True) == (64, True)


def test_other_options_are_noticed_and_need_a_word(batcher: Batcher, exported: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "captions", "--where", "seed > 0")
    before = tree(tmp_path / "out")
    for words in (("captions",), ("imagefolder", "--where", "seed > 0"), ("captions", "--where", "seed > 1")):
        came = batcher("export", run, tmp_path / "out", "--to", *words)
        assert came.code == 64
        assert "--replace" in came.err
    other = a_run(tmp_path / "other", seeds(["x"]))
    assert "another run" in batcher("export", other, tmp_path / "out", "--to", "captions", "--where", "seed > 0").err
    assert tree(tmp_path / "out") == before
    report = exported(run, "captions", "--replace")
    assert (report["pictures"], report["unchanged"], report["linked"]) == (6, 8, 2)
    exported(run, "imagefolder", "--replace")
    assert not list((tmp_path / "out").glob("*.txt"))


def test_a_file_in_the_way_is_left_alone(batcher: Batcher, exported: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "layout", "--layout", "{prompt}/{index}")
    a_run(run, [Asked(prompt="c")])
    mine = tmp_path / "out/c/6.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    came = batcher("export", run, tmp_path / "out", "--to", "layout", "--layout", "{prompt}/{index}")
    assert came.code == 64
    assert "in the way" in came.err
    assert mine.read_bytes() == b"mine"


def test_an_image_that_was_made_anew_is_exported_anew(exported: Any, tmp_path: Path) -> None:
    asked = [Asked(prompt="a"), Asked(prompt="b", fails=True)]
    run = a_run(tmp_path / "run", asked)
    words = ("--layout", "{prompt}")
    assert exported(run, "layout", *words)["pictures"] == 1
    redo(run, "b", Asked(prompt="b"))
    exported(run, "layout", *words)
    target, source = tmp_path / "out/b.png", run / "images/0000/p1.png"
    assert target.samefile(source)
    content = source.read_bytes()
    source.unlink()
    source.write_bytes(content)  # another file with the same bytes, as a repair leaves it
    exported(run, "layout", *words)
    assert target.samefile(source)


def test_copies_where_links_can_not_be_made(
    exported: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    report = exported(run, "captions")
    assert (report["linked"], report["copied"]) == (0, 6)
    assert exported(run, "captions")["unchanged"] == 12
    monkeypatch.undo()
    assert exported(run, "captions", "--copy", folder="copied")["copied"] == 6
    inodes = {path.stat().st_ino for path in run.rglob("*.png")}
    assert not inodes & {path.stat().st_ino for path in (tmp_path / "copied").rglob("*.png")}


def test_missing_and_damaged_images_are_left_out_and_told(batcher: Batcher, run: Path, tmp_path: Path) -> None:
    (run / "images/0000/p0.png").unlink()
    (run / "images/0000/p1.png").write_bytes(b"short")
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder", "--json")
    assert came.code == came.json["exit_code"] == 3
    assert came.json["left_out"] == {"missing or damaged": 2}
    assert came.json["missing"] == ["images/0000/p0.png", "images/0000/p1.png"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4
    assert (tmp_path / "out/train/metadata.jsonl").read_text().count("\n") == 4


def test_a_link_in_the_run_that_leads_out_is_never_followed(batcher: Batcher, run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    inside, outside = run / "images/0000/p0.png", run / "images/0000/p1.png"
    secret.write_bytes(outside.read_bytes())
    outside.unlink()
    outside.symlink_to(secret)
    moved = run / "images/elsewhere.png"
    inside.rename(moved)
    inside.symlink_to(moved)
    came = batcher("export", run, tmp_path / "out", "--to", "captions", "--json")
    assert came.json["missing"] == ["images/0000/p1.png"]
    made = list((tmp_path / "out").glob("*.png"))
    assert len(made) == 5
    assert not any(path.is_symlink() or path.samefile(secret) for path in made)


def test_a_link_in_the_export_that_leads_out_is_not_written_through(
    batcher: Batcher, exported: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "layout", "--layout", "{prompt}/{index}")
    (tmp_path / "away").mkdir()
    (tmp_path / "out/c").symlink_to(tmp_path / "away")
    a_run(run, [Asked(prompt="c")])
    came = batcher("export", run, tmp_path / "out", "--to", "layout", "--layout", "{prompt}/{index}")
    assert came.code == 64
    assert list((tmp_path / "away").iterdir()) == []


def test_nothing_to_export_is_an_error_that_says_why(batcher: Batcher, run: Path, tmp_path: Path) -> None:
    came = batcher("export", run, tmp_path / "out", "--to", "captions", "--where", "seed > 99")
    assert came.code == 64
    assert "--where matches none" in came.err
    unlist(run, "a")
    unlist(run, "b")
    came = batcher("export", run, tmp_path / "out", "--to", "captions")
    assert "--include-removed" in came.err
    assert not (tmp_path / "out").exists()


def test_two_exports_to_one_folder_do_not_meet(batcher: Batcher, exported: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "captions")
    with locked(tmp_path / "out/.batcher-export"):
        came = batcher("export", run, tmp_path / "out", "--to", "captions")
    assert came.code == 75
    assert "exporting to" in came.err


def victim(touch: int, *words: object) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "tests.export.victim",
        str(touch),
        *map(str, words),
        "--json",
        "--progress",
        "none",
    ]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("to", TARGETS)
def test_killed_at_any_moment_no_half_file_has_a_name_and_the_same_command_ends_it(
    to: str, exported: Any, tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", seeds(["a", "b"], 2))
    exported(run, to, *TARGETS[to], folder="old")
    a_run(run, seeds(["c"], 1))
    exported(run, to, *TARGETS[to], folder="whole")
    old, whole = tree(tmp_path / "old"), tree(tmp_path / "whole")
    touches = int(victim(0, run, tmp_path / "counted", "--to", to, *TARGETS[to]).stdout.split()[-1])
    assert touches > 15
    for at in range(3, touches, touches // 5):
        out = tmp_path / f"out{at}"
        if at % 2:  # half of them in a new folder, half in one that is there and has less in it
            shutil.copytree(tmp_path / "old", out)
        came = victim(at, run, out, "--to", to, *TARGETS[to])
        assert came.returncode == -signal.SIGKILL or (at % 2 and came.returncode == 0), came.stderr
        _assert_whole(tree(out), whole, old)
        exported(run, to, *TARGETS[to], folder=out.name)
        files = tree(out)
        assert files.keys() == whole.keys()
        assert {name for name in whole if whole[name] != files[name]} <= {"README.md"}


def _assert_whole(files: dict[str, bytes], whole: dict[str, bytes], old: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.rpartition("/")[2].startswith(".") or name == "README.md":
            continue  # a temp file, or the card that bears the folder's name
        assert content in {whole.get(name), old.get(name)}, name


def test_interrupted_it_says_so_and_goes_on(
    batcher: Batcher, exported: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Callable[..., Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("batcher.store.files.link_or_copy.LinkOrCopy.put", interrupted)
    came = batcher("export", run, tmp_path / "out", "--to", "captions", "--json")
    assert came.code == came.json["exit_code"] == 130
    assert "same command again" in came.err
    monkeypatch.undo()
    assert exported(run, "captions")["pictures"] == 6


def test_links_that_are_gone_or_changed_are_made_again(exported: Any, run: Path, tmp_path: Path) -> None:
    assert exported(run, "imagefolder")["linked"] == 6
    gone = next((tmp_path / "out").rglob("*.png"))
    gone.unlink()
    again = exported(run, "imagefolder")
    assert (again["linked"], again["unchanged"]) == (1, 5)
    gone.unlink()
    gone.write_bytes(b"changed by somebody")
    assert exported(run, "imagefolder")["linked"] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
@pytest.mark.parametrize("to", TARGETS)
def test_a_disk_that_is_full_is_said_in_words_and_nothing_half_made_stays(
    to: str, batcher: Batcher, exported: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*TARGETS[to], "--copy")
    monkeypatch.setattr("batcher.store.files.whole.create", lambda _temp: os.open("/dev/full", os.O_WRONLY))
    monkeypatch.setattr("batcher.store.files.link_or_copy.shutil.copyfile", _half)
    came = batcher("export", run, tmp_path / "out", "--to", to, "--progress", "none", *words)
    assert came.code == 73
    assert "No space left on device" in came.err
    assert not [name for name in tree(tmp_path / "out") if name.endswith(".part")]
    monkeypatch.undo()
    assert exported(run, to, *words)["pictures"] == 6


def _half(source: str, target: Path) -> None:
    target.write_bytes(Path(source).read_bytes()[:20])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_polite_kill_ends_it_as_ctrl_c_does(exported: Any, run: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal; from batcher.__main__ import entry; from batcher.export.folder import Folder\n"
        "Folder.place = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or signal.pause()\n"
        "entry()"
    )
    words = ["export", str(run), str(tmp_path / "out"), "--to", "captions", "--progress", "none"]
    ended = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert "same command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert exported(run, "captions")["pictures"] == 6


@pytest.mark.skipif(sys.platform != "linux", reason="such a path can't be made here")
def test_a_path_that_pyarrow_can_not_open_is_refused_before_anything_is_written(
    batcher: Batcher, exported: Any, run: Path, tmp_path: Path
) -> None:
    folder = "od d'\"\n\udcff"
    came = batcher("export", run, tmp_path / folder, "--to", "parquet")
    assert (came.code, "not UTF-8" in came.err) == (64, True)
    assert not (tmp_path / folder).exists()
    assert exported(run, "webdataset", folder=folder)["pictures"] == 6
    assert exported(run, "webdataset", folder=folder)["unchanged"] > 0


def test_what_ends_it_is_said_below_the_bar_and_the_bar_is_not_drawn_again(
    batcher: Batcher, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskError("the disk is full")

    monkeypatch.setattr("batcher.runner.progress.PATIENCE", 0)
    monkeypatch.setattr("batcher.runner.progress.listener", lambda _: Bar(sys.stderr))
    monkeypatch.setattr("batcher.export.folder.Folder.write", full)
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder")
    gc.collect()  # a bar that is left open draws itself once more when it goes
    assert came.code == 73
    assert "100%" in came.err
    assert came.err.endswith("\nbatcher: the disk is full\n")


@pytest.mark.parametrize("to", ["imagefolder", "webdataset", "parquet"])
def test_an_image_that_can_not_be_decoded_any_more_is_left_out_of_what_is_converted(
    to: str, batcher: Batcher, run: Path, tmp_path: Path
) -> None:
    """Damaged at equal length: only who reads it sees that."""
    first = min(run.glob("images/**/*.png"))
    first.write_bytes(bytes(first.stat().st_size))
    came = batcher("export", run, tmp_path / "out", "--to", to, "--convert", "webp:80", "--json", "--progress", "none")
    assert (came.code, came.json["pictures"], came.json["left_out"]) == (3, 5, {"missing or damaged": 1})
    assert came.json["missing"] == [first.relative_to(run).as_posix()]
