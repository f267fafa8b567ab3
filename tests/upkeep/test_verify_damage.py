"""Each damage done for real on disk: found, mended, and found clean afterwards."""

import json
import os
import shutil
from collections.abc import Callable

import pytest

from batcher.simulator import file_bytes
from tests.support.finished_runs import JOBS, Run, flip, kinds


def test_a_run_as_it_was_left_is_well(run: Run) -> None:
    facts = run.verify()
    assert facts["exit_code"] == 0
    assert (facts["jobs"], facts["images"], facts["files"]) == (JOBS, JOBS, 2 * JOBS)
    assert facts["bytes"] == sum(path.stat().st_size for path in (run.folder / "images").rglob("*.*") if path.is_file())
    assert facts["findings"] == []


def a_flipped_bit(run: Run) -> None:
    flip(run.images()[3], 700, 5)


def a_truncated_image(run: Run) -> None:
    path = run.images()[3]
    path.write_bytes(path.read_bytes()[:-40])


def an_empty_image(run: Run) -> None:
    run.images()[3].write_bytes(b"")


def a_missing_image(run: Run) -> None:
    run.images()[3].unlink()


def a_folder_of_images_that_is_gone(run: Run) -> None:
    shutil.rmtree(run.folder / "images" / "kite")


def a_missing_sidecar(run: Run) -> None:
    run.images()[3].with_suffix(".json").unlink()


def a_sidecar_cut_short(run: Run) -> None:
    path = run.images()[3].with_suffix(".json")
    path.write_bytes(path.read_bytes()[:100])


def a_sidecar_that_is_no_object(run: Run) -> None:
    run.images()[3].with_suffix(".json").write_text("[1, 2]")


def edited(name: str, value: object) -> Callable[[Run], None]:
    def damage(run: Run) -> None:
        path = run.images()[3].with_suffix(".json")
        card = json.loads(path.read_text("utf-8"))
        assert card[name] != value or type(card[name]) is not type(value)
        path.write_text(json.dumps({**card, name: value}))

    damage.__name__ = f"an edited {name}"
    return damage


def swapped_images(run: Run) -> None:
    one, other = run.images()[9], run.images()[-1]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def three_images_gone_round(run: Run) -> None:
    paths = [run.images()[0], run.images()[5], run.images()[-1]]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [contents[-1], *contents[:-1]], strict=True):
        path.write_bytes(content)


def swapped_pairs(run: Run) -> None:
    swapped_images(run)
    one, other = (run.images()[at].with_suffix(".json") for at in (9, -1))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def an_image_written_over_with_another(run: Run) -> None:
    run.images()[3].write_bytes(run.images()[-1].read_bytes())


def a_renamed_image(run: Run) -> None:
    run.images()[3].rename(run.images()[3].with_name("my favourite.png"))


def a_strange_image(run: Run) -> None:
    (run.folder / "images" / "holiday.png").write_bytes(file_bytes({"prompt": "a beach"}))


def a_copied_pair(run: Run) -> None:
    for suffix in (".png", ".json"):
        shutil.copy(run.images()[3].with_suffix(suffix), run.folder / "images" / f"copy{suffix}")


def a_strange_sidecar(run: Run) -> None:
    (run.folder / "images" / "notes.json").write_text('{"about": "birds"}')


def a_temp_file(run: Run) -> None:
    (run.folder / "images" / ".0123456789abcdef.part").write_bytes(b"half of a pic")


def records_cut_short(run: Run) -> None:
    path = run.folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-30])


def records_gone(run: Run) -> None:
    (run.folder / "records.jsonl").unlink()


def a_wrong_width_on_record(run: Run) -> None:
    run.write_state("UPDATE images SET width = width + 1 WHERE job_id = 4")


def a_wrong_size_and_type_on_record(run: Run) -> None:
    run.write_state("UPDATE images SET bytes = 7, mime = 'image/jpeg' WHERE job_id = 4")


def a_wrong_hash_on_record(run: Run) -> None:
    run.write_state("UPDATE images SET sha256 = lower(hex(randomblob(32))) WHERE job_id = 4")


def a_job_done_without_its_image_on_record(run: Run) -> None:
    run.write_state("DELETE FROM images WHERE job_id = 4")


def a_job_that_the_state_file_takes_for_pending(run: Run) -> None:
    """As when an older copy of the state file was put back."""
    run.write_state("DELETE FROM images WHERE job_id = 4")
    run.write_state("UPDATE jobs SET state = 'pending', attempts = 0, outcome = NULL WHERE id = 4")


def a_job_that_the_state_file_never_heard_of(run: Run) -> None:
    for table, column in (("images", "job_id"), ("jobs", "id")):
        run.write_state(f"DELETE FROM {table} WHERE {column} = 4")


SIDECAR = {"sidecar_differs"}
DAMAGES: list[tuple[Callable[[Run], None], set[str]]] = [
    (a_flipped_bit, {"changed"}),
    (a_truncated_image, {"truncated"}),
    (an_empty_image, {"truncated"}),
    (a_missing_image, {"missing"}),
    (a_folder_of_images_that_is_gone, {"missing", "sidecar_missing"}),
    (a_missing_sidecar, {"sidecar_missing"}),
    (a_sidecar_cut_short, {"sidecar_unreadable"}),
    (a_sidecar_that_is_no_object, {"sidecar_unreadable"}),
    (edited("schema", "batcher/2"), SIDECAR),
    (edited("job", "0" * 32), SIDECAR),
    (edited("request_id", "another"), SIDECAR),
    (edited("model", "another/model"), SIDECAR),
    (edited("inputs", {"prompt": "an owl"}), SIDECAR),
    (edited("prompt_id", "owl"), SIDECAR),
    (edited("meta", {"category": "owls"}), SIDECAR),
    (edited("source", {"manifest": "other.yaml", "line": 3}), SIDECAR),
    (edited("file", "images/other.png"), SIDECAR),
    (edited("bytes", 12), SIDECAR),
    (edited("sha256", "ab" * 32), SIDECAR),
    (edited("mime", "image/webp"), SIDECAR),
    (edited("width", 1), SIDECAR),
    (edited("height", None), SIDECAR),
    (edited("url", "https://example.org/a.png"), SIDECAR),
    (edited("output_index", 1), SIDECAR),
    (edited("output_count", True), SIDECAR),
    (edited("submitted_at", "2020-01-01T00:00:00.000Z"), SIDECAR),
    (edited("finished_at", None), SIDECAR),
    (edited("downloaded_at", "2020-01-01T00:00:00.000Z"), SIDECAR),
    (edited("attempts", 1.0), SIDECAR),
    (edited("cost_usd", 0.0), SIDECAR),
    (edited("simulated", 1), SIDECAR),
    (edited("batcher", "9.9.9"), SIDECAR),
    (swapped_images, {"swapped"}),
    (three_images_gone_round, {"swapped"}),
    (swapped_pairs, {"swapped", "sidecar_differs"}),
    (an_image_written_over_with_another, {"changed"}),
    (a_renamed_image, {"missing", "orphan"}),
    (a_strange_image, {"orphan"}),
    (a_copied_pair, {"orphan"}),
    (a_strange_sidecar, {"orphan"}),
    (a_temp_file, {"leftover"}),
    (records_cut_short, {"records_differ"}),
    (records_gone, {"records_differ"}),
    (a_wrong_width_on_record, {"facts_differ", "sidecar_differs", "records_differ"}),
    (a_wrong_size_and_type_on_record, {"facts_differ", "sidecar_differs", "records_differ"}),
    (a_wrong_hash_on_record, {"facts_differ", "sidecar_differs", "records_differ"}),
    (a_job_done_without_its_image_on_record, {"incomplete", "unrecorded", "records_differ"}),
    (a_job_that_the_state_file_takes_for_pending, {"unrecorded", "records_differ"}),
    (a_job_that_the_state_file_never_heard_of, {"unrecorded", "records_differ"}),
]


@pytest.mark.parametrize(("damage", "expected"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_a_damage_is_found_and_mended_free_and_the_run_is_as_before(
    run: Run, damage: Callable[[Run], None], expected: set[str]
) -> None:
    before = snapshot(run)
    damage(run)
    report = run.verify()
    assert report["exit_code"] == 3
    assert kinds(report) == expected
    assert {finding["repairable"] for finding in report["findings"]} == {"free"}
    repaired = run.verify("--repair")
    assert repaired["findings"] == []
    assert repaired["exit_code"] == 0
    assert run.verify()["exit_code"] == 0
    assert snapshot(run) == before


def snapshot(run: Run) -> dict[str, object]:
    """What a person sees there: bytes of pictures, sidecars without what a new download changes, jobs."""
    loose = {"url", "downloaded_at"}
    pictures = {str(path.relative_to(run.folder)): path.read_bytes() for path in run.images()}
    cards = [{name: value for name, value in card.items() if name not in loose} for card in run.cards()]
    return {"pictures": pictures, "cards": cards, "jobs": {row["key"]: row["state"] for row in run.rows("jobs")}}


def test_swapped_files_are_said_to_be_swapped_and_with_which(run: Run) -> None:
    one, other = (path.relative_to(run.folder).as_posix() for path in (run.images()[9], run.images()[-1]))
    swapped_images(run)
    messages = {finding["file"]: finding["message"] for finding in run.verify()["findings"]}
    assert messages[one] == f"holds the image of {other}; its own is in {other}"
    assert messages[other] == f"holds the image of {one}; its own is in {one}"


def test_swapped_files_are_put_right_without_asking_the_service(run: Run) -> None:
    swapped_images(run)
    (run.folder / ".simulator.jsonl").unlink()
    facts = run.verify("--repair")
    assert facts["exit_code"] == 0
    assert facts["mended"] == {"image put back in its place": 2}
    assert not run.aside()


def test_an_edited_image_is_kept_in_lost_and_found(run: Run) -> None:
    path = run.images()[3]
    edited_picture = file_bytes({"prompt": "retouched by hand for an hour"})
    path.write_bytes(edited_picture)
    assert run.verify("--repair")["exit_code"] == 0
    assert edited_picture in [kept.read_bytes() for kept in run.aside()]


def test_an_image_put_in_the_place_of_another_that_is_put_back_is_kept(run: Run) -> None:
    path = run.images()[9]
    path.rename(path.with_name("moved.png"))
    own = file_bytes({"prompt": "painted by hand"})
    path.write_bytes(own)
    facts = run.verify("--repair")
    assert facts["exit_code"] == 0
    assert facts["mended"]["image put back in its place"] == 1
    assert own in [kept.read_bytes() for kept in run.aside()]


def test_the_files_counted_as_moved_are_the_damaged_ones_and_no_others(run: Run) -> None:
    images = run.images()
    flip(images[3], 700)
    images[5].write_bytes(b"")
    images[7].unlink()
    for path in (images[9].with_suffix(".json"), images[11].with_suffix(".json")):
        path.write_bytes(path.read_bytes()[:100])
    flip(images[11], 700)
    stray = run.folder / "images" / "holiday.png"
    stray.write_bytes(file_bytes({"prompt": "a beach"}))
    damaged = [images[3], images[5], images[9].with_suffix(".json"), images[11], images[11].with_suffix(".json"), stray]
    facts = run.verify("--repair")
    assert facts["exit_code"] == 0
    moved = {path.relative_to(run.folder / "lost+found") for path in run.aside()}
    assert moved == {path.relative_to(run.folder / "images") for path in damaged}
    assert facts["mended"]["file moved to lost+found"] == len(damaged)


def test_a_job_that_lacks_an_image_and_has_a_sidecar_of_another_job_keeps_its_names(fours: Run) -> None:
    before = {path: path.read_bytes() for path in fours.images()}
    fours.images()[1].unlink()
    shutil.copy(fours.images()[5].with_suffix(".json"), fours.images()[2].with_suffix(".json"))
    assert fours.verify("--repair")["exit_code"] == 0
    assert {path: path.read_bytes() for path in fours.images()} == before


def test_a_job_nobody_heard_of_with_a_damaged_image_is_taken_in_and_mended_in_one_go(run: Run) -> None:
    before = snapshot(run)
    flip(run.folder / f"{run.rows('jobs')[3]['path']}.png", 300)
    a_job_that_the_state_file_never_heard_of(run)
    assert run.verify("--repair")["exit_code"] == 0
    assert snapshot(run) == before


def test_files_moved_aside_twice_do_not_write_over_each_other(run: Run) -> None:
    for content in (b"one", b"two", b"three"):
        (run.folder / "images" / "kite" / "stray.png").write_bytes(content)
        assert run.verify("--repair")["exit_code"] == 0
    kept = {path.read_bytes() for path in run.aside()}
    assert kept == {b"one", b"two", b"three"}


def test_files_that_are_not_ours_are_let_be(run: Run) -> None:
    for name in (".DS_Store", "Thumbs.db", "metadata.jsonl", "notes.md", "README"):
        (run.folder / "images" / name).write_text("not ours")
    (run.folder / "my notes.json").write_text("{}")
    assert run.verify("--repair")["exit_code"] == 0
    assert not run.aside()
    assert (run.folder / "images" / "notes.md").exists()


def test_a_sidecar_with_more_in_it_than_we_wrote_is_well(run: Run) -> None:
    path = run.images()[3].with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "rating": 5}))
    assert run.verify()["exit_code"] == 0


def test_a_file_that_may_not_be_read_is_said_to_need_a_hand(run: Run) -> None:
    path = run.images()[3]
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    facts = run.verify("--repair")
    assert kinds(facts) == {"unreadable"}
    assert facts["by_repair"] == {"by_hand": 1}


def test_a_multi_image_job_that_lacks_one_gets_it_again(fours: Run) -> None:
    before = {path: path.read_bytes() for path in fours.images()}
    assert len(before) == 8
    fours.images()[2].unlink()
    flip(fours.images()[5], 400)
    assert kinds(fours.verify()) == {"missing", "changed"}
    assert fours.verify("--repair")["exit_code"] == 0
    assert {path: path.read_bytes() for path in fours.images()} == before


def test_a_job_with_fewer_images_on_record_than_it_gave_is_incomplete(fours: Run) -> None:
    (fours.folder / ".simulator.jsonl").unlink()
    fours.write_state("DELETE FROM images WHERE job_id = 1 AND output_index = 2")
    assert kinds(fours.verify()) == {"incomplete", "unrecorded", "records_differ"}
    assert fours.verify("--repair")["exit_code"] == 0, "it is all on disk: nobody needs to be asked"
    assert len(fours.rows("images")) == 8


def test_the_state_file_is_not_written_by_a_check(run: Run) -> None:
    before = (run.folder / "state.db").read_bytes()
    tree = sorted(path for path in run.folder.rglob("*") if "state.db-" not in path.name)
    a_flipped_bit(run)
    run.verify()
    assert (run.folder / "state.db").read_bytes() == before
    assert sorted(path for path in run.folder.rglob("*") if "state.db-" not in path.name) == tree


def test_a_damaged_state_file_is_said_and_a_repair_makes_a_new_one_from_the_sidecars(run: Run) -> None:
    path = run.folder / "state.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(min(4096 * 6, size - 4096 * 3)))
    before = path.read_bytes()
    facts = run.verify()
    assert kinds(facts) == {"state_damaged"}
    assert facts["by_repair"] == {"free": 1}
    assert path.read_bytes() == before
    facts = run.verify("--repair")
    assert (facts["exit_code"], facts["rebuilt"]["jobs"]) == (0, JOBS)
    assert before in [kept.read_bytes() for kept in run.aside()]
    assert run.again()["submits"] == 0


@pytest.mark.parametrize("words", [["status", "run"], ["run", "manifest.yaml", "-o", "run", "--simulate"]])
def test_a_damaged_state_file_is_no_traceback(run: Run, words: list[str]) -> None:
    with (run.folder / "state.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 8))
    code, _ = run(*words)
    assert code in {64, 73}
