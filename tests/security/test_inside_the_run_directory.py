"""Names that try to leave the run directory, links that try to lead out of it, and who may read what is in it."""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.runner.intake.remote_manifest import Remote
from batcher.runner.progress import listener
from tests.security.ground import ran, simulator, to

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and rights as POSIX has them")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Flags for a quick run against a simulator."""
    with simulator(tmp_path_factory.mktemp("service"), latency=0.01) as service:
        yield (*to(service), "--json", "--progress", "none")


WAYS_OUT = [
    "../../escaped",
    "/etc/escaped",
    "..",
    ".",
    "...",
    "a/../../escaped",
    "..\\..\\escaped",
    "C:\\escaped",
    "\\\\host\\share",
    "~/escaped",
    "$HOME/escaped",
    "%2e%2e%2fescaped",
    "a\0b",
    "a\nb",
    "\x1b[2Jescaped",
    "CON",
    "aux.txt",
    "nul ",
    "trailing. ",
    ".hidden",
    "-rf",
    "a" * 300,
    "é" * 200,
    "\u202egnp.exe",
    "images/../../escaped",
    "state.db",
    "..;/escaped",
    "a:b:c",
]


def outside(folder: Path, run: Path) -> list[Path]:
    """What is below ``folder`` and not of the run: what the test put there itself."""
    return sorted(path for path in folder.rglob("*") if run not in (path, *path.parents))


@pytest.mark.parametrize("template", [None, "{meta.way}/{prompt_id}/{negative_prompt}_{seed:>5}"])
def test_no_id_no_value_and_no_template_leads_out_of_the_images(
    tmp_path: Path, quick: tuple[str, ...], template: str | None
) -> None:
    prompts = [
        {"prompt": f"p{at}", "id": way, "negative_prompt": way, "meta": {"way": way}} for at, way in enumerate(WAYS_OUT)
    ]
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        json.dumps(
            {"prompts": prompts, **({"output": {"path": template}} if template else {}), "defaults": {"seed": 1}}
        )
    )
    run = tmp_path / "deep" / "down" / "run"
    done = ran("run", manifest, "-o", run, *quick)
    assert json.loads(done.stdout)["done"] == len(WAYS_OUT), done.stderr
    assert outside(tmp_path, run) == [tmp_path / "deep", tmp_path / "deep" / "down", manifest]
    ours = {"records.jsonl", "failures.jsonl", "report.json", "state.db", "images"}
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} <= ours
    pictures = list((run / "images").rglob("*.png"))
    assert len(pictures) == len(WAYS_OUT)
    assert all(part.isprintable() and part.strip(". ") for path in pictures for part in path.relative_to(run).parts)


@pytest.mark.parametrize(
    "template",
    [
        "../{seed}",
        "/tmp/{seed}",
        "a/../../b",
        "{seed}/..",
        "a\\b",
        "C:/x/{seed}",
        "a//b",
        "./x",
        "",
        "{meta.x.y}",
        "{prompt.__class__}",
    ],
)
def test_a_template_that_leaves_on_its_own_is_refused(tmp_path: Path, template: str) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(json.dumps({"prompts": ["a"], "output": {"path": template}}))
    done = ran("plan", manifest, "-o", tmp_path / "run", token=None)
    assert done.returncode == 65, done.stdout
    assert outside(tmp_path, tmp_path / "none") == [manifest]


SWEEP = 'prompts: [a, b]\noutput: {path: "shard/{prompt_id}_{seed}"}\nmatrix: {seed: 1..2}\n'


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, quick: tuple[str, ...]) -> tuple[Path, list[Path]]:
    """A run directory with a state file and one job of four done, its files gone; and the names of the other files."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "m.yaml").write_text(SWEEP)
    assert ran("run", folder / "m.yaml", "-o", folder / "run", *quick, "--limit", "1").returncode == 4
    shutil.rmtree(folder / "run" / "images")
    (folder / "run" / "images").mkdir()
    shutil.copytree(folder / "run", folder / "whole")
    assert ran("run", folder / "m.yaml", "-o", folder / "whole", *quick).returncode == 0
    made = [path.relative_to(folder / "whole") for path in (folder / "whole" / "images").rglob("*") if path.is_file()]
    assert len(made) == 6
    return folder / "run", made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def test_a_shard_folder_that_became_a_link_is_not_written_through(
    tmp_path: Path, quick: tuple[str, ...], prompts: Path, secret: Path, first: tuple[Path, list[Path]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first[0], run)
    (run / "images" / "shard").symlink_to(secret, target_is_directory=True)
    done = ran("run", prompts, "-o", run, *quick)
    assert done.returncode == 73
    assert b"leads out of" in done.stderr + done.stdout
    assert [path.name for path in secret.iterdir()] == ["precious"]
    (run / "images" / "shard").unlink()
    assert json.loads(ran("run", prompts, "-o", run, *quick).stdout)["done"] == 4, "and it resumes"


def test_links_where_files_belong_are_replaced_and_what_they_point_to_is_left_alone(
    tmp_path: Path, quick: tuple[str, ...], prompts: Path, secret: Path, first: tuple[Path, list[Path]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first[0], run)
    names = first[1]
    (run / "images" / "shard").mkdir()
    from batcher.store.files.disk import temp_beside  # noqa: PLC0415  where it would write first

    stems = {temp_beside((run / name).with_suffix("")) for name in names}
    tables = [run / name for name in ("records.jsonl", "failures.jsonl", "report.json")]
    for place in [*(run / name for name in names), *stems, *tables, *map(temp_beside, tables)]:
        place.unlink(missing_ok=True)
        place.symlink_to(secret / "precious")
    done = ran("run", prompts, "-o", run, *quick)
    assert json.loads(done.stdout)["done"] == 4, done.stderr
    assert (secret / "precious").read_text() == "precious"
    left = [path for path in run.rglob("*") if path.is_symlink() and path.name[0] != "."]
    assert left == []
    for table in tables:
        json.loads(table.read_text().partition("\n")[0] if table.suffix == ".jsonl" and table.stat().st_size else "{}")


def test_the_lock_is_not_taken_through_a_link(
    tmp_path: Path, quick: tuple[str, ...], prompts: Path, secret: Path, first: tuple[Path, list[Path]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first[0], run)
    (run / ".lock").unlink(missing_ok=True)
    (run / ".lock").symlink_to(secret / "precious")
    done = ran("run", prompts, "-o", run, *quick)
    assert (done.returncode, b".lock is a link" in done.stderr) == (73, True), done.stderr
    assert (secret / "precious").read_text() == "precious"


NOT_OURS_TO_REPLACE = {"state.db", "state.db-wal", "state.db-shm", ".lock"}  # each has a test of its own


def every_command(run: Path, prompts: Path, quick: tuple[str, ...]) -> None:
    """All that write into a run directory; some end with an error where a link is in their way."""
    watched = ("--log", run / "log.jsonl", "--metrics", run / "metrics.prom")
    Remote("https://somewhere.test/m.yaml", prompts).keep(run, listener("none"))
    ends = [
        ran("run", prompts, "-o", run, *quick),
        ran("more", run, "--seeds", "1", "--yes"),
        *(ran("pick", run, "--where", "seed == 1", verdict) for verdict in ("yes", "clear")),
        ran("tune", run, "--rate", "9/s"),
        ran("status", run),
        ran("run", prompts, "-o", run, *quick, *watched),
        ran("run", prompts, "-o", run, "--simulate", "--progress", "none"),
        ran("verify", run, "--repair"),
    ]
    for end in ends:
        assert b"Traceback" not in end.stderr
        assert end.returncode != 1, end.stderr


def test_no_file_of_a_run_directory_is_written_through_a_link_that_stands_in_its_place(
    tmp_path: Path, quick: tuple[str, ...], prompts: Path, secret: Path, first: tuple[Path, list[Path]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first[0], run)
    every_command(run, prompts, quick)
    (run / ".ballast").write_text("left by a kill")
    (run / "thumbs/measures.jsonl").write_text("")
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    names = {file for file in files if file.parts[0] not in {"images", *NOT_OURS_TO_REPLACE}}
    assert names >= {Path("picks.jsonl"), Path("additions.jsonl"), Path("thumbs/measures.jsonl"), Path("log.jsonl")}
    for name in names:
        (run / name).rename(secret / name.name)
        (run / name).symlink_to(secret / name.name)
    before = {path.name: path.read_bytes() for path in secret.iterdir()}
    every_command(run, prompts, quick)
    assert {path.name: path.read_bytes() for path in secret.iterdir()} == before


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_every_file_and_folder_has_the_rights_that_the_owners_umask_leaves(
    tmp_path: Path, quick: tuple[str, ...], prompts: Path, umask: int
) -> None:
    run = tmp_path / "run"
    before = os.umask(umask)
    try:
        assert ran("run", prompts, "-o", run, *quick).returncode == 0
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (run, *run.rglob("*"))}
    assert len(modes) > 10
    for path, mode in modes.items():
        wanted = (0o777 if path.is_dir() else 0o666) & ~umask
        assert mode & ~wanted == 0, f"{path.name} is open to others: {mode:o}"
        if path.suffix in {".png", ".json", ".jsonl"} or path.is_dir():
            assert mode == wanted, f"{path.name}: {mode:o}"


def test_the_state_file_of_a_going_run_is_as_closed_as_the_umask_says(tmp_path: Path) -> None:
    from batcher.store import STATE, StateFile  # noqa: PLC0415

    before = os.umask(0o077)
    try:
        state = StateFile(tmp_path / STATE)
        state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, total=1))])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        state.close()
    finally:
        os.umask(before)
    assert f"{STATE}-wal" in modes
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["control.json", "picks.jsonl", "additions.jsonl"])
def test_a_pipe_where_a_file_belongs_is_said_and_not_waited_for(tmp_path: Path, name: str) -> None:
    prompts, run = tmp_path / "p.txt", tmp_path / "run"
    prompts.write_text("a kite\n")
    assert ran("run", prompts, "--simulate", "-o", run).returncode == 0
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    done = ran("run", prompts, "--simulate", "-o", run)
    assert done.returncode in {64, 73}, done.stderr
    assert name.encode() in done.stderr
    assert b"not an ordinary file" in done.stderr
