"""``picks.jsonl``: the last line of a picture counts, and no crash or stranger's line takes the others with it."""

import json
import threading
from pathlib import Path

from batcher.store import picks
from batcher.store.picks import PICKS, Verdict

JOB = "0123456789abcdef0123456789abcdef"


def test_the_last_line_of_an_image_counts_and_undo_is_a_line(tmp_path: Path) -> None:
    picks.append(tmp_path, [Verdict(job=JOB, pick="yes", stars=4, tags=("sea",))])
    picks.append(tmp_path, [Verdict(job=JOB, output_index=1, pick="no")])
    picks.append(tmp_path, [Verdict(job=JOB, pick="no")])
    assert len((tmp_path / PICKS).read_bytes().splitlines()) == 3
    read = picks.read(tmp_path)
    verdict = read.of(JOB, 0, "any")
    assert verdict is not None
    assert (verdict.pick, verdict.stars, verdict.tags) == ("no", None, ())
    other = read.of(JOB, 1, "any")
    assert other is not None
    assert other.pick == "no"


def test_a_line_says_when_and_by_whom(tmp_path: Path) -> None:
    picks.append(tmp_path, [Verdict(job=JOB, pick="yes")])
    line = json.loads((tmp_path / PICKS).read_text())
    assert line["at"].endswith("Z")
    assert set(line) == {"at", "by", "job", "output_index", "pick", "stars", "tags", "note", "sha256"}


def test_undo_goes_back_step_by_step_and_what_was_taken_back_by_hand_is_a_step(tmp_path: Path) -> None:
    me = picks.whoami()

    def lines() -> list[Verdict]:
        return [verdict for line in (tmp_path / PICKS).read_bytes().splitlines() if (verdict := picks.parsed(line))]

    for number, pick in enumerate(("yes", None, "no")):
        picks.append(tmp_path, [Verdict(job=JOB, pick=pick, at=f"2026-11-29T00:00:0{number}.000Z")])
    for number, before in enumerate((None, "yes", None), 3):
        (last,) = picks.steps(lines(), me)[-1]
        assert last.pick == before
        picks.append(tmp_path, [Verdict(job=JOB, pick=before, undo=True, at=f"2026-11-29T00:00:0{number}.000Z")])
    assert picks.steps(lines(), me) == []
    assert picks.steps(lines(), "somebody else") == []


def test_half_a_line_at_the_end_is_passed_over_and_the_next_verdict_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    picks.append(tmp_path, [Verdict(job=JOB, pick="yes")])
    with (tmp_path / PICKS).open("ab") as file:
        file.write(b'{"at": "2026-11-29T00:00:00.000Z", "job": "0123')
    read = picks.read(tmp_path)
    assert (len(read), read.unreadable) == (1, 1)
    picks.append(tmp_path, [Verdict(job=JOB, output_index=1, pick="no")])
    assert len(picks.read(tmp_path)) == 2


def test_a_verdict_on_an_image_that_was_made_anew_is_stale(tmp_path: Path) -> None:
    picks.append(tmp_path, [Verdict(job=JOB, pick="yes", sha256="a" * 64)])
    read = picks.read(tmp_path)
    assert read.of(JOB, 0, "a" * 64) is not None
    assert read.of(JOB, 0, "b" * 64) is None


def test_files_are_merged_by_putting_one_behind_the_other(tmp_path: Path) -> None:
    for name, index in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        picks.append(tmp_path / name, [Verdict(job=JOB, output_index=index, pick="yes")])
    (tmp_path / PICKS).write_bytes((tmp_path / "one" / PICKS).read_bytes() + (tmp_path / "two" / PICKS).read_bytes())
    assert len(picks.read(tmp_path)) == 2


def test_lines_that_are_no_verdicts_are_counted_and_hurt_nobody(tmp_path: Path) -> None:
    strange = [
        "[]",
        '{"job": 7}',
        f'{{"job": "{JOB}", "pick": "maybe"}}',
        f'{{"job": "{JOB}", "pick": ["yes"]}}',
        f'{{"job": "{JOB}", "stars": 9}}',
        "[" * 100_000,
        "\x00",
        "7",
    ]
    good = json.dumps({"job": JOB, "pick": "yes"})
    (tmp_path / PICKS).write_text("\n".join([*strange, good, ""]))
    read = picks.read(tmp_path)
    assert (len(read), read.unreadable) == (1, len(strange))


def test_no_file_is_no_verdicts(tmp_path: Path) -> None:
    assert len(picks.read(tmp_path)) == 0


def test_many_that_pick_at_once_lose_nothing(tmp_path: Path) -> None:
    def work(who: int) -> None:
        for index in range(20):
            picks.append(tmp_path, [Verdict(job=f"{who:032x}", output_index=index, pick="yes", note="x" * 300)])

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = picks.read(tmp_path)
    assert (len(read), read.unreadable) == (80, 0)
    assert (tmp_path / PICKS).stat().st_size > 80 * 300
