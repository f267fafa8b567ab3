"""What a repair asks the service for, what it does when that has nothing any more, and what it never touches."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from batcher.core.retry import EARLY
from batcher.manifest import Overrides
from batcher.runner.service import Options
from batcher.simulator import Fault, Profile, Simulator
from batcher.store import locked
from batcher.upkeep.repair import Repaired, repair
from tests.support.command_line import without_settings
from tests.support.finished_runs import JOBS, MANIFEST, Run, copied, flip, kinds, made
from tests.support.rude_server import answer, serving
from tests.support.simulator_process import ROOT, service
from tests.support.stage import go, lines, steady
from tests.support.virtual import run as virtually

VICTIM = (sys.executable, "-m", "tests.crash.victim")


def the_service_forgets(run: Run) -> None:
    (run.folder / ".simulator.jsonl").write_text("")


def test_what_the_service_no_longer_has_is_gone_with_its_price_and_the_way_to_pay_for_it(run: Run) -> None:
    the_service_forgets(run)
    damaged = run.images()[9].read_bytes()[:-9]
    run.images()[9].write_bytes(damaged)
    run.images()[3].unlink()
    facts = run.verify("--repair")
    assert kinds(facts) == {"gone"}
    assert facts["by_repair"] == {"paid": 2}
    assert (facts["paid_jobs"], facts["paid_usd"]) == (2, 0.04)
    assert {finding["price_usd"] for finding in facts["findings"]} == {0.02}
    assert damaged in [kept.read_bytes() for kept in run.aside()], "better than nothing"
    others = [(row["cause"], row["state"]) for row in run.rows("jobs") if row["state"] != "done"]
    assert others == [("gone", "failed")] * 2
    code, output = run.say()
    assert code == 0, "files and state file agree: two jobs have failed"
    assert "All is well" in output


def test_a_retry_of_what_is_missing_lets_the_next_run_fetch_it_free_and_asks_before_it_pays_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, bad, kept = run.images()[3], run.images()[9], run.images()[5].stat().st_mtime_ns
    damaged = bad.read_bytes()[:-9]
    lost.unlink()
    bad.write_bytes(damaged)
    words = ("retry", "run", "--state", "missing", "--json")
    asked = json.loads(run(*words, "--dry-run")[1])
    assert (asked["collected_again"], asked["reopened"], asked["may_cost_usd"]) == (2, 0, 0)
    assert len(asked["collected_first"]) == 2
    assert not run.aside()
    run(*words)
    assert [path.read_bytes() for path in run.aside()] == [damaged], "sound sidecars stay in their place"
    report = run.again()
    assert (report["submits"], report["done"]) == (0, JOBS)
    assert run.verify()["exit_code"] == 0
    assert run.images()[5].stat().st_mtime_ns == kept
    assert json.loads(run(*words)[1])["collected_again"] == 0

    the_service_forgets(run)
    monkeypatch.setattr("batcher.runner.wait.EARLY", replace(EARLY, wait_max=0.1))  # as many tries, in less time
    lost.unlink()
    run(*words)
    assert (run.again()["failed"], run.again()["submits"]) == (1, 0)
    causes = [row["cause"] for row in run.rows("jobs") if row["state"] == "failed"]
    assert causes == ["gone"]
    assert json.loads(run("retry", "run", "--json", "--dry-run")[1])["collected_again"] == 1, "asking is free"
    assert json.loads(run("retry", "run", "--resubmit", "--json", "--dry-run")[1])["may_cost_usd"] == 0.02


def test_the_command_that_pays_for_what_is_gone_is_the_one_that_is_named(run: Run) -> None:
    the_service_forgets(run)
    run.images()[3].unlink()
    code, output = run.say("--repair")
    assert code == 3
    command = next(line.strip() for line in output.splitlines() if "batcher retry" in line)
    assert command == "batcher retry run --cause gone --resubmit"
    assert run(*command.split()[1:])[0] == 0
    report = run.again()
    assert (report["submits"], report["done"]) == (1, JOBS)
    assert run.verify()["exit_code"] == 0


def test_without_a_service_what_is_lost_waits_for_the_next_run_which_collects_it_free(run: Run) -> None:
    journal = run.folder / ".simulator.jsonl"
    journal.rename(journal.with_name("put by"))
    run.images()[3].unlink()
    facts = run.verify("--repair")
    assert kinds(facts) == {"missing"}
    assert facts["by_repair"] == {"free": 1}
    assert "could not be fetched now" in facts["findings"][0]["message"]
    assert kinds(run.verify()) == {"unfetched"}, "and it is not forgotten"
    journal.with_name("put by").rename(journal)
    assert run.again()["submits"] == 0
    assert run.verify()["exit_code"] == 0


def test_a_check_asks_nobody_and_needs_no_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNCOMFY_TOKEN", raising=False)
    monkeypatch.setenv("PATH", "")
    the_service_forgets(run)
    run.images()[3].unlink()
    assert kinds(run.verify()) == {"missing"}


def test_a_repair_needs_the_directory_for_itself_and_a_check_does_not(run: Run) -> None:
    with locked(run.folder):
        assert run.verify()["exit_code"] == 0
        code, output = run.say("--repair", "--json")
    assert code == 75
    assert "in use" in json.loads(output)["error"]


def test_beside_a_going_run_what_it_writes_now_is_no_finding(run: Run) -> None:
    process = json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "since": 0})
    run.write_state("UPDATE meta SET value = ? WHERE name = 'process'", process)
    run.write_state("UPDATE jobs SET state = 'ready' WHERE id = 4")
    run.write_state("DELETE FROM images WHERE job_id = 4")
    (run.folder / "images" / ".0123456789abcdef.part").write_bytes(b"half")
    with locked(run.folder):
        facts = run.verify()
    assert facts["going"] is True
    assert facts["findings"] == []


def test_what_a_kill_left_between_image_and_row_is_for_the_next_run(run: Run) -> None:
    link = '["http://127.0.0.1:9/a.png"]'
    run.write_state("UPDATE jobs SET state = 'ready', urls = ? WHERE id IN (4, 5)", link)
    run.write_state("DELETE FROM images WHERE job_id IN (4, 5)")
    (run.folder / f"{run.rows('jobs')[4]['path']}.json").unlink()
    assert kinds(run.verify()) == {"unfetched", "records_differ"}
    assert run.verify("--repair")["exit_code"] == 0
    assert not run.aside()


# Links


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_link_that_leads_out_is_said_and_never_read(run: Run, treasure: Path) -> None:
    path = run.images()[3]
    (treasure / "a.png").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(treasure / "a.png")
    facts = run.verify()
    assert kinds(facts) == {"outside"}
    assert facts["files"] == 2 * JOBS - 1
    assert run.verify("--repair")["exit_code"] == 0
    assert not path.is_symlink()
    assert (treasure / "a.png").exists()
    assert [kept.is_symlink() for kept in (run.folder / "lost+found").rglob("*.png")] == [True]


def test_a_linked_sidecar_is_written_anew_in_its_place(run: Run, treasure: Path) -> None:
    path = run.images()[3].with_suffix(".json")
    shutil.move(path, treasure / "a.json")
    path.symlink_to(treasure / "a.json")
    before = (treasure / "a.json").read_bytes()
    assert kinds(run.verify()) == {"outside"}
    assert run.verify("--repair")["exit_code"] == 0
    assert json.loads(path.read_bytes()) == json.loads(before)
    assert (treasure / "a.json").read_bytes() == before
    assert not path.is_symlink()


def test_a_linked_folder_is_not_entered_and_its_images_are_fetched_again(run: Run, treasure: Path) -> None:
    folder = run.folder / "images" / "kite"
    shutil.move(folder, treasure / "kite")
    folder.symlink_to(treasure / "kite")
    (treasure / "kite" / "secret.png").write_bytes(b"not ours")
    before = sorted((treasure / "kite").iterdir())
    facts = run.verify()
    assert kinds(facts) == {"outside"}
    assert not any("secret" in finding["file"] for finding in facts["findings"])
    assert run.verify("--repair")["exit_code"] == 0
    assert folder.is_dir()
    assert not folder.is_symlink()
    assert sorted((treasure / "kite").iterdir()) == before


def test_a_link_within_the_images_is_read_as_what_it_leads_to(run: Run) -> None:
    path = run.images()[9]
    hidden = run.folder / "images" / "kept"
    hidden.mkdir()
    path.rename(hidden / "picture.dat")
    path.symlink_to(hidden / "picture.dat")
    assert run.verify()["exit_code"] == 0


def test_the_folder_of_images_may_be_a_link_to_a_bigger_disk(run: Run, treasure: Path) -> None:
    images = run.folder / "images"
    shutil.move(images, treasure / "images")
    images.symlink_to(treasure / "images")
    flip(images / "kite" / "1x1_s1.png", 500)
    assert kinds(run.verify()) == {"changed"}
    assert run.verify("--repair")["exit_code"] == 0


def test_lost_and_found_is_not_written_through_a_link(run: Run, treasure: Path) -> None:
    (run.folder / "lost+found").symlink_to(treasure)
    (run.folder / "images" / "stray.png").write_bytes(b"stray")
    code, output = run.say("--repair", "--json")
    assert code == 73
    assert "lost+found is a link" in json.loads(output)["error"]
    assert not list(treasure.iterdir())


def test_a_recorded_name_that_leads_out_is_not_followed(run: Run, treasure: Path) -> None:
    (treasure / "a.png").write_bytes(run.images()[3].read_bytes())
    name = "images/../../../elsewhere/a.png"
    assert (run.folder / name).exists()
    run.write_state("UPDATE images SET file = ? WHERE job_id = 4", name)
    facts = run.verify()
    assert "outside" in kinds(facts)
    assert run.verify("--repair")["exit_code"] == 0
    assert (treasure / "a.png").exists()
    assert [path.name for path in treasure.iterdir()] == ["a.png"]


# A service of its own address


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with service(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture(scope="module")
def finished_there(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Path:
    folder = tmp_path_factory.mktemp("there")
    return made(folder, MANIFEST, "--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1")


@pytest.fixture
def there(finished_there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return copied(finished_there, tmp_path, capsys)


def counted(origin: str, name: str) -> int:
    with urlopen(Request(f"{origin}/_simulator/stats"), timeout=10) as answer:
        return int(json.loads(answer.read())[name])


def test_the_recorded_link_is_tried_first_and_needs_no_token(
    there: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_settings(monkeypatch, tmp_path)
    before = {path: path.read_bytes() for path in there.images()}
    for at in (1, 9, 12):
        there.images()[at].write_bytes(b"")
    facts = there.verify("--repair", "--trust-host", "127.0.0.1")
    assert facts["exit_code"] == 0
    assert facts["mended"]["job fetched again, free"] == 3
    assert {path: path.read_bytes() for path in there.images()} == before


def test_a_dead_link_is_followed_by_a_fresh_result(there: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", "a-token")
    there.write_state("UPDATE images SET url = replace(url, '/files/', '/files/x')")
    there.images()[0].unlink()
    path = there.folder / f"{there.rows('jobs')[3]['path']}.png"
    path.unlink(missing_ok=True)
    assert there.verify("--repair", "--trust-host", "127.0.0.1")["exit_code"] == 0
    assert path.exists()


def test_without_a_token_the_reason_is_said_and_nothing_is_given_up(
    there: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_settings(monkeypatch, tmp_path)
    there.images()[9].unlink()
    there.images()[3].write_bytes(b"cut")
    before = {path: path.read_bytes() for path in there.folder.glob("images/**/*.*")}
    for _ in range(2):
        facts = there.verify("--repair")  # the file host is not trusted, so the link is of no use
        assert facts["by_repair"] == {"free": 2}
        assert "token" in facts["findings"][0]["message"]
        assert {row["state"] for row in there.rows("jobs")} == {"done", "running"}
        assert {path: path.read_bytes() for path in there.folder.glob("images/**/*.*")} == before, "nothing was moved"


def test_another_service_that_knows_nothing_of_them_does_not_make_them_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", "a-token")
    run.images()[9].unlink()
    nothing = Overrides(model=None, set=(), matrix=(), format=None, prompt_column=None, limit=None)

    async def asked() -> Repaired:
        async with serving(answer({"error": "no such request"}, status=404)) as real:
            options = Options(manifest="", overrides=nothing, base_url=real.base_url)
            repaired = await repair(run.folder, options, depth="decode", threads=2, progress=None)
            assert {seen.method for seen in real.seen} == {"GET"}
            return repaired

    (left,) = asyncio.run(asked()).left
    assert (left.kind, left.fix) == ("missing", "free")
    assert "these images are simulated" in left.message
    assert run.verify("--repair")["exit_code"] == 0


# Pictures that were delivered so


def delivered(tmp_path: Path, fault: Fault, capture: pytest.CaptureFixture[str], count: int = 8) -> Run:
    manifest = tmp_path / "manifest.yaml"
    prompts = "".join(f"  - {line}\n" for line in lines(count).splitlines())
    manifest.write_text(f"prompts:\n{prompts}defaults: {{aspect_ratio: '4:3'}}\n")
    profile: Profile = steady(faults=(fault,))
    virtually(go(tmp_path / "run", manifest, Simulator(profile)))
    return Run(tmp_path / "run", capture)


@pytest.mark.parametrize(
    ("fault", "kind"), [("placeholder", "duplicate"), ("black", "one_colour"), ("wrong_ratio", "wrong_ratio")]
)
def test_an_image_that_was_delivered_so_is_found_and_left_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, kind: str
) -> None:
    run = delivered(tmp_path, Fault(where="file", kind=fault, probability=0.5), capsys)
    before = {path: path.read_bytes() for path in run.images()}
    facts = run.verify()
    assert kind in kinds(facts)
    odd = {finding["file"] for finding in facts["findings"] if finding["kind"] == kind}
    warned = {row["file"] for row in run.rows("images") if row["warning"]}
    assert odd
    assert odd <= warned, "as the download said"
    assert facts["by_repair"] == {"by_hand": len(facts["findings"])}
    repaired = run.verify("--repair")
    assert repaired["exit_code"] == 3
    assert {path: path.read_bytes() for path in run.images()} == before


def test_structure_alone_does_not_see_a_black_image_but_sees_its_bytes(run: Run) -> None:
    flip(run.images()[3], 700)
    assert kinds(run.verify("--check", "structure")) == {"changed"}


# A repair that is killed


@pytest.mark.parametrize("step", range(1, 24, 2))
def test_a_repair_that_is_killed_is_finished_by_the_next(run: Run, tmp_path: Path, step: int) -> None:
    """Three pictures gone round, and a flipped bit; SIGKILL at one step after another that outlives the process."""
    before = {path: path.read_bytes() for path in run.images()}
    paths = [run.images()[0], run.images()[9], run.images()[-1]]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [contents[-1], *contents[:-1]], strict=True):
        path.write_bytes(content)
    flip(run.images()[12], 600)
    killed = subprocess.run(
        [*VICTIM, str(step), str(tmp_path / "steps"), "verify", str(run.folder), "--repair"],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, "the repair was over before this step: the range is too long"
    assert run.verify("--repair")["exit_code"] == 0
    assert {path: path.read_bytes() for path in run.images()} == before
    assert run.verify()["exit_code"] == 0


def test_verdicts_are_no_damage_of_the_records_and_a_repair_keeps_them(run: Run) -> None:
    assert run("pick", "run", "--where", "seed == 1", "yes")[0] == 0
    records = (run.folder / "records.jsonl").read_text()
    assert '"pick":"yes"' in records
    assert run.verify()["exit_code"] == 0
    run.images()[3].unlink()
    assert run.verify("--repair")["exit_code"] == 0
    assert (run.folder / "records.jsonl").read_text().count('"pick":"yes"') == records.count('"pick":"yes"')
