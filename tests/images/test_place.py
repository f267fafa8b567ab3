"""What is on disk after everything that disks do."""

import errno
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import DiskError, FileRefused
from batcher.store.files.disk import temp_beside
from batcher.store.files.whole import write_whole
from tests.support.file_host import answer, fetch, files, picture

BIG = picture(800, 800)
both = pytest.mark.parametrize("body", [picture(), BIG], ids=["small", "big"])


@both
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_can_not_take_it_says_what_to_do_and_keeps_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, code: int, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(DiskError) as caught:
        fetch(tmp_path, answer(body))
    assert "images/x/picture" in caught.value.message
    assert os.strerror(code) in caught.value.message
    assert "run the same command again" in caught.value.hint
    assert files(tmp_path) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.support.file_host import answer, fetch, files, picture
from batcher.core.errors import DiskError
side, limit = int(sys.argv[2]), int(sys.argv[3])
body = picture(side, side)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    fetch(Path(sys.argv[1]), answer(body), check="structure")
except DiskError as error:
    print(error.message)
print(files(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize(("side", "limit"), [(100, 10_000), (800, 500_000), (800, 1_500_000)])
def test_a_real_limit_on_writing_ends_the_same_way(tmp_path: Path, side: int, limit: int) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(side), str(limit)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "File too large" in output
    assert output.endswith("[]\n")


@both
def test_a_run_directory_that_went_away_is_a_disk_error(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DiskError) as caught:
        fetch(tmp_path / "gone", answer(body))
    assert "moved or removed" in caught.value.hint
    assert not (tmp_path / "gone").exists()


@both
def test_a_folder_that_is_a_link_out_of_the_run_is_not_written_through(tmp_path: Path, body: bytes) -> None:
    run_dir, outside = tmp_path / "run", tmp_path / "outside"
    (run_dir / "images").mkdir(parents=True)
    outside.mkdir()
    (run_dir / "images/x").symlink_to(outside)
    for path in ("x/picture", "x/y/picture"):
        with pytest.raises(DiskError, match="leads out of the folder of images"):
            fetch(run_dir, answer(body), path=path)
    assert list(outside.iterdir()) == []


def test_the_folder_of_images_may_itself_be_a_link_to_a_bigger_disk(tmp_path: Path) -> None:
    run_dir, bigger = tmp_path / "run", tmp_path / "bigger"
    run_dir.mkdir()
    bigger.mkdir()
    (run_dir / "images").symlink_to(bigger)
    fetch(run_dir, answer(picture()))
    assert files(bigger) == ["x/picture.json", "x/picture.png"]


@both
def test_links_where_files_should_go_are_replaced_and_not_followed(tmp_path: Path, body: bytes) -> None:
    run_dir, victim = tmp_path / "run", tmp_path / "victim"
    folder = run_dir / "images/x"
    folder.mkdir(parents=True)
    victim.write_text("mine")
    for name in ("picture.png", "picture.json", temp_beside(folder / "picture").name):
        (folder / name).symlink_to(victim)
    artifact = fetch(run_dir, answer(body), check="structure")
    assert victim.read_text() == "mine"
    assert (run_dir / artifact.file).read_bytes() == body
    assert not (run_dir / artifact.file).is_symlink()


@both
def test_what_a_killed_run_left_is_written_over(tmp_path: Path, body: bytes) -> None:
    folder = tmp_path / "images/x"
    folder.mkdir(parents=True)
    temp_beside(folder / "picture").write_bytes(b"half")
    fetch(tmp_path, answer(body))
    assert files(tmp_path) == ["images/x/picture.json", "images/x/picture.png"]


@pytest.mark.parametrize("path", ["n" * 300, "f" * 300 + "/x", "taken/x"])
def test_a_name_that_the_disk_refuses_is_the_fault_of_one_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/taken").write_text("a file where a folder has to be")
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, answer(picture()), path=path)
    assert caught.value.cause.kind == "bad_name"


@pytest.mark.parametrize("path", ["日本/木" + "木" * 50, "a b/#%?", "con_/é"])
def test_odd_names_work(tmp_path: Path, path: str) -> None:
    fetch(tmp_path, answer(picture()), path=path)
    assert files(tmp_path) == [f"images/{path}.json", f"images/{path}.png"]


@both
def test_everything_is_forced_to_the_disk_before_anything_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    steps: list[str] = []
    true_sync, true_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink()
        steps.append(f"sync {name.relative_to(tmp_path).as_posix() if name != tmp_path else '.'}")
        true_sync(handle)

    def replace(source: str, target: str) -> None:
        steps.append(f"{Path(source).relative_to(tmp_path)} to {Path(target).relative_to(tmp_path)}")
        true_replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not say which file a handle is")
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    fetch(tmp_path, answer(body))
    temp, beside = (f"images/x/{temp_beside(Path(name)).name}" for name in ("picture", "picture.json"))
    assert steps == [
        "sync .",
        "sync images",
        f"sync {temp}",
        f"sync {beside}",
        f"{temp} to images/x/picture.png",
        f"{beside} to images/x/picture.json",
        "sync images/x",
    ]


@given(st.lists(st.one_of(st.text(max_size=50), st.binary(max_size=50)), max_size=20))
@settings(max_examples=30)
def test_write_whole_writes_its_chunks_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[str | bytes]
) -> None:
    path = tmp_path_factory.mktemp("whole") / "records.jsonl"
    write_whole(path, chunks)
    assert path.read_bytes() == b"".join(c.encode() if isinstance(c, str) else c for c in chunks)


def test_write_whole_keeps_the_old_file_when_its_source_fails(tmp_path: Path) -> None:
    def failing() -> Iterator[str]:
        yield "new"
        raise ZeroDivisionError

    path = tmp_path / "records.jsonl"
    write_whole(path, ["old"])
    with pytest.raises(ZeroDivisionError):
        write_whole(path, failing())
    assert path.read_text() == "old"
    assert files(tmp_path) == ["records.jsonl"]


def test_write_whole_says_what_the_disk_said(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot write report\.json"):
        write_whole(tmp_path / "gone" / "report.json", ["{}"])


def test_half_a_surrogate_pair_is_written_as_its_json_escape(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", ['"\ud800"'])
    assert (tmp_path / "a").read_bytes() == b'"\\ud800"'


def test_a_million_lines_cost_no_memory(tmp_path: Path) -> None:
    lines = 100_000
    tracemalloc.start()
    try:
        write_whole(tmp_path / "records.jsonl", (f"{at:0100d}\n" for at in range(lines)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "records.jsonl").stat().st_size == lines * 101
    assert peak < 1_000_000
