"""What lies there is not paid for, and what was in the air is doubted only where it truly left."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import TakenOver, UsageError
from batcher.core.job import State
from batcher.runner.lost_and_found import move_to_lost_and_found
from batcher.runner.progress import Silent
from batcher.runner.recovery.departures import JOURNAL, Departures, recover
from batcher.runner.recovery.generation import read_beside, take
from batcher.runner.run_dir import say_recovered
from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Simulator
from batcher.store import STATE, StateFile, reading
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.state_files import NOW, Book, a_book, a_job
from tests.support.virtual import run

FIRST = 20


def drop_journals(folder: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (folder / f"{STATE}{suffix}").unlink(missing_ok=True)


def truncated(folder: Path) -> None:
    drop_journals(folder)
    (folder / STATE).write_bytes(b"")


def gone_with_its_journal_of_departures(folder: Path) -> None:
    truncated(folder)
    (folder / JOURNAL).unlink()


def older(folder: Path) -> None:
    drop_journals(folder)
    shutil.copy(folder.parent / "older.db", folder / STATE)


@pytest.mark.parametrize("damage", [truncated, older])
def test_what_lies_there_is_not_paid_for_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(40))
    notes: list[str] = []

    async def story() -> tuple[Came, dict[str, Any]]:
        service = Simulator(steady())
        await go(folder, path, service, limit=FIRST)
        shutil.copy(folder / STATE, tmp_path / "older.db")
        await go(folder, path, service)
        damage(folder)
        came = await go(folder, path, service, hear=lambda event: notes.append(getattr(event, "text", "")))
        return came, service.stats()

    came, stats = run(story())
    assert came.exit_code == 0
    assert (came.report["submits"], came.report["done"], came.report["images"]) == (0, 40, 40)
    assert came.report["cost_usd"] == pytest.approx(0.8)
    assert stats["charges_per_input"]["max"] == 1
    assert any("not paid for again" in text for text in notes)


def test_a_lost_state_file_and_files_that_are_not_whole_cost_nothing_either(tmp_path: Path) -> None:
    """The id in a sidecar collects the picture again; a picture without a sidecar is in doubt, also after a repair."""
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(12))
    cards = folder / "images"

    async def story() -> tuple[list[Came], dict[str, Any]]:
        service = Simulator(steady())
        for _ in range(2):  # the second one clears the journal of departures
            await go(folder, path, service)
        ours = sorted(cards.rglob("*.json"))
        ours[0].with_suffix(".png").unlink()
        ours[1].with_suffix(".png").write_bytes(b"half")
        for card in ours[2:5]:
            card.unlink()
        (folder / "records.jsonl").unlink()
        truncated(folder)
        came = [await go(folder, path, service)]
        truncated(folder)
        move_to_lost_and_found(folder, ours[2].with_suffix(".png").relative_to(folder).as_posix())
        came.append(await go(folder, path, service))
        return came, service.stats()

    came, stats = run(story())
    assert [(one.report["done"], one.report["in_doubt"], one.report["submits"]) for one in came] == [(9, 3, 0)] * 2
    assert stats["charges_per_input"]["max"] == 1
    assert "complete sidecar" in json.dumps(came[0].report)


def test_a_whole_run_directory_that_was_put_back_as_it_was_asks_before_it_pays(tmp_path: Path) -> None:
    """A backup of all of it, unpacked into the same folder: nothing in it knows what was submitted since."""
    path, folder, backup = tmp_path / "manifest.txt", tmp_path / "run", tmp_path / "backup"
    path.write_text(lines(40))

    async def interrupt(going: Going) -> None:
        await asyncio.sleep(2.0)
        going.context.stop.request(Reason.INTERRUPTED)

    async def story() -> Came:
        service = Simulator(steady())
        await go(folder, path, service, rate=5.0, meanwhile=interrupt)
        shutil.copytree(folder, backup)
        await go(folder, path, service, rate=5.0, meanwhile=interrupt)
        for item in folder.iterdir():
            item.rename(tmp_path / f"gone-{item.name}")
        shutil.copytree(backup, folder, dirs_exist_ok=True)
        before = service.stats()["submits_accepted"]
        with pytest.raises(UsageError, match="was restored to an earlier state"):
            await go(folder, path, service)
        assert service.stats()["submits_accepted"] == before
        return await go(folder, path, service, continue_copy=True)

    assert run(story()).exit_code == 0


def test_ids_that_only_a_lost_state_file_knew_are_in_the_journal_and_collected(tmp_path: Path) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(30))

    async def interrupt(going: Going) -> None:
        await asyncio.sleep(3.0)
        going.context.stop.request(Reason.INTERRUPTED)

    async def story() -> tuple[Came, Came, dict[str, Any]]:
        service = Simulator(steady(latency=Latency(kind="fixed", median=5.0)))
        await go(folder, path, service, deadline=0.0)
        shutil.copy(folder / STATE, tmp_path / "older.db")
        first = await go(folder, path, service, rate=5.0, meanwhile=interrupt)
        older(folder)
        return first, await go(folder, path, service, rate=5.0), service.stats()

    first, second, stats = run(story())
    assert first.exit_code == 130
    assert 10 <= first.report["at_service"] <= 17
    assert second.exit_code == 0
    assert stats["charges_per_input"] == {"distinct": 30, "max": 1, "histogram": {"1": 30}}


def test_doubt_of_an_earlier_run_outlives_the_state_file(tmp_path: Path) -> None:
    """The journal keeps what may have been paid for and has no picture, however many runs ago that was."""
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(10))

    async def story() -> tuple[list[Came], dict[str, Any]]:
        service = Simulator(steady(faults=(Fault(where="submit", kind="drop_after", count=3),)))
        came = [await go(folder, path, service), await go(folder, path, service)]
        for _ in range(2):
            truncated(folder)
            came.append(await go(folder, path, service))
        return came, service.stats()

    came, stats = run(story())
    assert [one.report["in_doubt"] for one in came] == [3, 3, 3, 3]
    assert stats["charges_per_input"]["max"] == 1


def test_an_image_that_is_not_whole_is_collected_again_and_one_with_a_changed_sidecar_is_in_doubt(
    tmp_path: Path,
) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(3))

    async def story() -> Came:
        service = Simulator(steady())
        await go(folder, path, service)
        pictures = sorted((folder / "images").rglob("*.png"))
        pictures[0].write_bytes(pictures[0].read_bytes()[:-9])
        card = pictures[1].with_suffix(".json")
        card.write_text(json.dumps({**json.loads(card.read_text()), "job": "0" * 32}))
        gone_with_its_journal_of_departures(folder)
        return await go(folder, path, service, continue_copy=True)

    came = run(story())
    assert (came.report["submits"], came.report["done"], came.report["in_doubt"]) == (0, 2, 1)


def in_the_air(book: Book, count: int = 3) -> list[Any]:
    return [book.submitting(a_job(number)) for number in range(count)]


def states(book: Book) -> list[str]:
    return [str(state) for (state,) in book.rows("SELECT state FROM jobs ORDER BY id")]


def test_only_what_left_and_was_not_answered_is_in_doubt(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        never, lost, answered = in_the_air(book)
        journal = Departures(tmp_path)
        for entry in (lost, answered):
            journal.left(entry)
        journal.answered(answered, "an-id")
        journal.close()
        recovered = recover(book.state, NOW)
        assert (recovered.accepted, recovered.pending, recovered.doubted) == (1, 1, 1)
        assert states(book) == ["pending", "in_doubt", "running"]
        assert never.attempts == 1
        output = StringIO()
        say_recovered(recovered, Silent(output))
        assert output.getvalue().startswith("1 job is to submit again: batcher ended before the submit left")
        say_recovered(recover(book.state, NOW), Silent(again := StringIO()))
        assert again.getvalue() == ""
        assert next(reading.entries(book.state.connection, [State.RUNNING])).request_id == "an-id"


@pytest.mark.parametrize("journal", ["another boot", "a copy", "none"])
def test_without_a_journal_of_this_file_and_this_boot_every_intent_counts(tmp_path: Path, journal: str) -> None:
    with a_book(tmp_path) as book:
        in_the_air(book, 1)
        if journal != "none":
            Departures(tmp_path).close()
        if journal == "another boot":
            path = tmp_path / JOURNAL
            path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}) + "\n")
        if journal == "a copy":
            shutil.copy(tmp_path / JOURNAL, tmp_path / "copied")
            (tmp_path / "copied").replace(tmp_path / JOURNAL)
        recover(book.state, NOW)
        assert states(book) == ["in_doubt"]


def test_an_id_is_an_id_whichever_boot_wrote_it(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        (entry,) = in_the_air(book, 1)
        lines = [{"boot": "another"}, {"left": entry.job.key, "n": 1, "at": NOW}]
        lines.append({"got": entry.job.key, "n": 1, "id": "an-id"})
        (tmp_path / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"left": "half')
        recover(book.state, NOW)
        assert states(book) == ["running"]


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_copy_of_a_run_that_is_not_over_asks_before_it_pays(tmp_path: Path) -> None:
    path, folder, other = tmp_path / "manifest.txt", tmp_path / "run", tmp_path / "other"
    path.write_text(lines(40))

    async def story() -> tuple[Came, Came, dict[str, Any]]:
        service = Simulator(steady())
        await go(folder, path, service, deadline=3.0, rate=5.0)
        copied(folder, other)
        with pytest.raises(UsageError, match=f"{other} is a copy of {folder}, made while jobs were pending"):
            await go(other, path, service)
        first = await go(folder, path, service)
        folder.rename(tmp_path / "renamed")
        shutil.rmtree(other)
        copied(tmp_path / "renamed", other)
        return first, await go(other, path, service), service.stats()

    first, finished, stats = run(story())
    assert (first.exit_code, finished.exit_code, finished.report["submits"]) == (0, 0, 0)
    assert stats["charges_per_input"]["max"] == 1


def test_a_renamed_run_goes_on(tmp_path: Path) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(40))

    async def story() -> Came:
        service = Simulator(steady())
        await go(folder, path, service, deadline=3.0, rate=5.0)
        folder.rename(tmp_path / "renamed")
        return await go(tmp_path / "renamed", path, service)

    assert run(story()).exit_code == 0


def test_a_copy_goes_on_when_the_user_says_so(tmp_path: Path) -> None:
    path, folder, other = tmp_path / "manifest.txt", tmp_path / "run", tmp_path / "other"
    path.write_text(lines(10))

    async def story() -> Came:
        service = Simulator(steady())
        await go(folder, path, service, deadline=1.0, rate=2.0)
        copied(folder, other)
        shutil.rmtree(folder)
        await go(other, path, service, continue_copy=True, deadline=1.0, rate=2.0)
        return await go(other, path, service)

    assert run(story()).exit_code == 0


def test_an_older_state_file_without_any_journal_is_not_drained_in_silence(tmp_path: Path) -> None:
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(10))

    async def story() -> None:
        service = Simulator(steady())
        await go(folder, path, service, deadline=1.0, rate=2.0)
        shutil.copy(folder / STATE, tmp_path / "older.db")
        await go(folder, path, service)
        older(folder)
        (folder / JOURNAL).unlink()
        with pytest.raises(UsageError, match="is older than the last run here"):
            await go(folder, path, service)

    run(story())


def test_a_run_whose_directory_is_taken_over_stops_with_75_before_it_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # there are the ids that it did not write any more
    path, folder = tmp_path / "manifest.txt", tmp_path / "run"
    path.write_text(lines(100))

    async def taken(going: Going) -> None:
        await asyncio.sleep(3.0)
        (folder / ".lock").unlink()
        other = StateFile(folder / STATE)
        take(other, folder, read_beside(folder), 0.0)
        other.close()

    async def story() -> dict[str, Any]:
        service = Simulator(steady())
        with pytest.raises(TakenOver) as caught:
            await go(folder, path, service, rate=5.0, meanwhile=taken)
        assert caught.value.exit_code == 75
        return service.stats()

    assert run(story())["submits_accepted"] <= 3 * 5 + 3


def test_an_emptied_state_file_of_a_default_run_directory_leads_to_no_dead_end(tmp_path: Path) -> None:
    """The default directory is looked up in the state file, so the command without ``-o`` goes another way."""
    (tmp_path / "kites.txt").write_text("one kite\ntwo kites\n")

    def came_of(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "batcher", *words, "--simulate", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    assert came_of("run", "kites.txt", "--rate", "50/s")["submits"] == 2
    for _ in range(2):
        truncated(tmp_path / "runs" / "kites")
        again = came_of("run", "kites.txt")
        assert (again["submits"], again["done"]) == (0, 2)
    truncated(tmp_path / "runs" / "kites")
    came_of("verify", "runs/kites", "--repair")
    assert came_of("run", "kites.txt")["submits"] == 0


def test_a_damaged_page_is_said_in_words_and_a_repair_pays_for_nothing_again(tmp_path: Path) -> None:
    """After an end that was not clean the state file is looked through before anything is submitted."""
    (tmp_path / "kites.txt").write_text(lines(30))

    def batcher(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "batcher", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    run_it = ("run", "kites.txt", "-o", "run", "--simulate", "--rate", "200/s", "--json")
    assert batcher(*run_it).returncode == 0
    folder = tmp_path / "run"
    for page in range(1, 12, 2):
        generation = json.loads((folder / ".generation").read_text())
        (folder / ".generation").write_text(json.dumps({**generation, "ended": False}))  # as a kill leaves it
        (folder / "state.db-wal").write_bytes(b"\0" * 32)
        assert (folder / STATE).stat().st_size >= (page + 1) * 4096
        with (folder / STATE).open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
        first = batcher(*run_it)
        assert "Traceback" not in first.stderr
        if first.returncode:
            assert first.returncode == 73
            assert "damaged" in first.stderr
            repaired = batcher("verify", "run", "--repair")
            assert "Traceback" not in repaired.stderr
            first = batcher(*run_it)
        report = json.loads(first.stdout)
        assert (report["submits"], report["done"]) == (0, 30), page
