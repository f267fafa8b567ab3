"""What is printed: 80 columns wide, and no character in it that a terminal would obey."""

import json

from batcher.core.errors import Cause
from batcher.core.folding import columns, cut, folded
from tests.support.command_line import Came, Shell, assert_fits, assert_no_traceback
from tests.support.state_files import NOW, a_job

WICKED = "bell\x07 csi\x9b31m esc\x1b[31m rtl\u202e del\x7f nel\x85 bidi\u2066"


def assert_printable(text: str) -> None:
    assert all(line.isprintable() for line in text.splitlines()), text
    assert "\x85" not in text
    assert "\u2028" not in text


def wicked(shell: Shell) -> list[Came]:
    shell.file("p.jsonl", json.dumps({"prompt": WICKED, "negative_prompt": WICKED, "note": WICKED}) + "\n")
    with shell.run_directory() as book:
        book.failed(a_job(1, note=WICKED))
        book.do(book.state.reject, book.submitting(a_job(2)), Cause(kind=WICKED, message=WICKED), NOW)
        book.note(command=f"batcher run {WICKED}", manifest=WICKED, model=WICKED)
        book.pending(a_job(3))
    return [
        shell("plan", "p.jsonl"),
        shell("plan", "p.jsonl", "--matrix", f"negative_prompt={WICKED},b"),
        shell("plan", "p.jsonl", "--json"),
        shell("plan", "p.jsonl", "-o", WICKED),
        shell("status", "run"),
        shell("status", "run", "--json"),
        shell("status", WICKED),
        shell("retry", "run"),
        shell("retry", "run", "--json", "--dry-run"),
        shell("cancel", "run", "--pending", "--json"),
        shell("plan", f"{WICKED}.txt"),
        shell(WICKED),
    ]


def test_control_characters_are_never_printed_raw(shell: Shell) -> None:
    for came in wicked(shell):
        assert_printable(came.out)
        assert_printable(came.err)
        assert_no_traceback(came)


def test_control_characters_survive_in_json(shell: Shell) -> None:
    shell.file("p.jsonl", json.dumps({"prompt": WICKED}) + "\n")
    assert shell("plan", "p.jsonl", "--json").json["first"][0]["inputs"]["prompt"] == WICKED


def test_a_run_of_prompts_with_control_characters_prints_none(shell: Shell) -> None:
    shell.file("p.jsonl", json.dumps({"prompt": WICKED}) + "\n")
    came = shell("run", "p.jsonl", "--simulate", "--rate", "200/s", "--progress", "lines")
    assert came.code == 0
    assert_printable(came.out + came.err)
    (sidecar,) = (path for path in (shell.folder / "runs/p/images").rglob("*.json"))
    assert json.loads(sidecar.read_text())["inputs"]["prompt"] == WICKED


def test_every_answer_fits_eighty_columns(shell: Shell) -> None:
    long = "a very long word of wisdom about herons " * 5
    shell.file("p.csv", f'prompt,negative_prompt\n"{long}","{long}"\n{"鷺" * 90},{"鷺" * 90}\n')
    with shell.run_directory() as book:
        for number in range(3):
            book.do(book.state.reject, book.submitting(a_job(number)), Cause(kind="rejected", message=long), NOW)
        book.do(book.state.fail_here, book.running(a_job(5)), Cause(kind="expired", message=long))
        book.in_doubt(a_job(6))
        book.pending(a_job(7))
        book.note(price_usd=0.02, command=f"batcher run p.csv --set 'negative_prompt={long}'")
    for words in (
        ["plan", "p.csv", "--price", "0.02", "--budget", "100", "--matrix", "seed=1..20", "--limit", "7"],
        ["plan", "p.csv", "--model", "nobody/knows/this-model/text-to-image"],
        ["status", "run"],
        ["retry", "run", "--state", "in_doubt", "--state", "failed", "--dry-run"],
        ["retry", "run", "--cause", "none"],
        ["cancel", "run", "--pending"],
    ):
        came = shell(*words)
        assert came.out, came
        assert_fits(came.out)


def test_folding_keeps_commands_and_words_whole() -> None:
    line = "3 failed; `batcher retry runs/a-rather-long-name-of-a-run-directory` reopens them and says what it may cost"
    parts = folded(line)
    assert " ".join(part.strip() for part in parts) == line
    assert all(part.count("`") % 2 == 0 for part in parts)
    assert max(map(columns, parts)) <= 80
    assert folded("  batcher run " + "x " * 60) == ["  batcher run " + "x " * 60]


def test_cutting_counts_columns() -> None:
    assert cut("鷺" * 50, 60) == "鷺" * 29 + "…"
    assert columns(cut("鷺" * 50, 60)) == 59
    assert cut("heron", 60) == "heron"
