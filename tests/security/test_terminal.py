"""Text of strangers on a person's terminal: shown, never obeyed, in every command and in every way it can get there."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.ground import ROOT, Service, batcher, environment, hazards, ran, simulator, to

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b1m\x7f\u202egnp\u2066x\u2028y\r\n\ud800 all 99 jobs done"
SAID = EVIL.replace("\ud800", "")  # what UTF-8 can say
FAULTS = [
    {"where": "submit", "kind": "escape", "count": 2},
    {"where": "result", "kind": "escape", "count": 2},
    {"where": "status", "kind": "escape", "count": 2},
    {"where": "cancel", "kind": "escape"},
    {"where": "submit", "kind": "drop_after", "skip": 4, "count": 1},
    {"where": "result", "kind": "failed_object", "count": 1},
]


@pytest.fixture(scope="module")
def rude(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    words = {"queued_word": SAID, "running_word": f"\x1b[5m{SAID}"}
    with simulator(tmp_path_factory.mktemp("service"), faults=FAULTS, latency=0.3, **words) as service:
        yield service


def manifest(folder: Path) -> Path:
    place = folder / "evil \x1b[31m\u202e\n.yaml"
    prompts = [
        {"prompt": f"{SAID} {at}", "id": f"{SAID}{at}", "meta": {SAID: SAID}, "negative_prompt": SAID, "vars": {}}
        for at in range(10)
    ]
    place.write_text(json.dumps({"prompts": prompts, "matrix": {"negative_prompt": [SAID, "x"], "seed": [1]}}))
    return place


def check(done: "subprocess.CompletedProcess[bytes]", *codes: int) -> None:
    words = " ".join(map(repr, done.args[1:]))[:300]
    assert done.returncode in codes, (words, done.stderr)
    assert b"Traceback" not in done.stderr, words
    assert hazards(done.stdout) == [], (words, done.stdout)
    assert hazards(done.stderr) == [], (words, done.stderr)
    for line in (done.stdout + done.stderr).decode().splitlines():
        assert not line.startswith(" all 99 jobs done"), f"a stranger wrote a line of its own: {words}"
        assert not line.startswith("all 99 jobs done"), f"a stranger wrote a line of its own: {words}"


def test_no_command_lets_a_stranger_write_on_the_terminal(tmp_path: Path, rude: Service) -> None:
    path, run = manifest(tmp_path), tmp_path / "run \x1b[31m\u202e"
    check(ran("plan", path, "-o", run, *to(rude)), 0)
    check(ran("plan", path, "-o", run, *to(rude), "--json"), 0)
    check(ran("run", path, "-o", run, *to(rude), "--progress", "lines"), 3, 5)
    for command in ("status", "retry", "cancel", "verify"):
        flags = ("--base-url", rude.base_url) if command == "cancel" else ()
        check(ran(command, run, *flags, *(("--dry-run",) if command == "retry" else ())), 0, 3, 5)
        ended = ran(command, run, "--json", *flags)
        check(ended, 0, 3, 5)
        assert isinstance(json.loads(ended.stdout), dict)
    check(ran("plan", path, "-o", run, *to(rude)), 0)
    ended = ran("run", path, "-o", run, *to(rude), "--progress", "json", "--json")
    check(ended, 0, 3, 5)
    assert isinstance(json.loads(ended.stdout), dict)
    for line in ended.stderr.splitlines():
        assert isinstance(json.loads(line), dict)
    sidecars = list((run / "images").rglob("*.json"))
    assert any(json.loads(card.read_text())["meta"] == {SAID: SAID} for card in sidecars), (
        "kept as given, where it belongs"
    )


BAD = {
    "an unknown key": {"prompts": ["a"], SAID: 1},
    "a bad value": {"prompts": [{"prompt": "a", "aspect_ratio": SAID}]},
    "an unknown input": {"prompts": [{"prompt": "a", SAID: SAID}]},
    "a bad var": {"prompts": [{"prompt": "{a}", "vars": {SAID: [SAID]}}]},
    "a missing file": {"prompts": [{"file": SAID}]},
    "a bad format": {"prompts": [{"file": "x.csv", "format": SAID}]},
    "a bad path": {"prompts": ["a"], "output": {"path": "{" + SAID + "}"}},
    "a bad spec": {"prompts": ["a"], "output": {"path": "{prompt_id:" + SAID + "}"}},
    "a bad option": {"prompts": ["a"], "run": {"rate": SAID, SAID: 1}},
    "a bad axis": {"prompts": ["a"], "matrix": {"seed": [SAID], SAID: [1]}},
    "a bad model": {"prompts": ["a"], "model": SAID},
    "an unknown model": {"prompts": ["a"], "model": "no/such/model"},
}


@pytest.mark.parametrize("words", BAD)
def test_no_error_about_a_manifest_lets_it_either(tmp_path: Path, rude: Service, words: str) -> None:
    path = tmp_path / "evil\x1b[31m.yaml"
    path.write_text(json.dumps(BAD[words]))
    (tmp_path / "x.csv").write_text("prompt\na\n")
    for flags in ((), ("--json",)):
        check(ran("plan", path, "-o", tmp_path / "run", *to(rude), *flags), 65)
    check(ran("run", path, "-o", tmp_path / "run", *to(rude)), 65)


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "txt"])
def test_no_error_about_a_prompt_file_lets_it_either(tmp_path: Path, rude: Service, form: str) -> None:
    texts = {
        "csv": f'prompt,{json.dumps(SAID)},seed\na,b,"{SAID}"\n',
        "tsv": f"prompt\tseed\na\t\x1b[31m\x9b\u202e\n\x1b[2J\n{SAID}\t1\t2\t3\n",
        "jsonl": f'{json.dumps({"prompt": 7, SAID: SAID, "seed": SAID})}\n{{"prompt": \x1b[31m}}\n{SAID}\n',
        "json": json.dumps([{"prompt": "a", "seed": SAID}, {"prompt": {SAID: SAID}}]),
        "txt": "ok\n\x1b[31m\xff",
    }
    path = tmp_path / f"evil\u202e.{form}"
    path.write_bytes(texts[form].encode("latin-1" if form == "txt" else "utf-8"))
    check(ran("plan", path, "-o", tmp_path / "run", *to(rude)), 65)


def test_no_flag_lets_it_either(tmp_path: Path, rude: Service) -> None:
    path = tmp_path / "m.txt"
    path.write_text("a\n")
    for flags in (
        ("--rate", SAID),
        ("--set", f"seed={SAID}"),
        ("--set", SAID),
        ("--matrix", f"{SAID}={SAID}"),
        ("--format", SAID),
        ("--model", SAID),
        ("--prompt-column", SAID),
        ("--limit", SAID),
        ("--base-url", SAID),
        ("--trust-host", SAID),
        ("--deadline", SAID),
        ("--check", SAID),
        (f"--{SAID}",),
        ("--token-file", SAID),
        ("--in-doubt", SAID),
        ("--progress", SAID),
        ("-o", str(tmp_path / "m.txt" / SAID)),
    ):
        done = ran("run", path, "-o", tmp_path / "run", *to(rude), *flags)
        assert done.returncode in {0, 3, 64, 65, 73, 77}, (flags, done.stderr)
        assert hazards(done.stdout + done.stderr) == [], (flags, done.stderr)
    for command in (("status", SAID), ("retry", SAID), ("cancel", SAID), (SAID,), ("retry", tmp_path, "--state", SAID)):
        done = ran(*command)
        assert done.returncode in {64, 73}, (command, done.stderr)
        assert hazards(done.stdout + done.stderr) == [], (command, done.stderr)


@pytest.mark.parametrize(("encoding", "flags"), [("ascii", []), ("latin-1", ["--json"])])
def test_a_terminal_that_knows_few_letters_gets_what_it_can_show(
    tmp_path: Path, encoding: str, flags: list[str]
) -> None:
    prompt = "Ein Reiher über \u6c34 \U0001f426"
    path = tmp_path / "m.yaml"
    path.write_text(f"prompts: [{{prompt: {prompt}, id: \u6c34}}]\n", "utf-8")
    env = environment(None, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    done = batcher("plan", path, "-o", tmp_path / "\u6c34", *flags, env=env)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert (
        json.loads(text)["first"][0]["inputs"]["prompt"] == prompt if flags else "Ein Reiher \\xfcber \\u6c34" in text
    )


@pytest.mark.skipif(os.name == "nt", reason="a terminal as POSIX has it")
def test_the_bar_on_a_real_terminal_moves_the_cursor_itself_and_nobody_else_does(tmp_path: Path, rude: Service) -> None:
    path, run = manifest(tmp_path), tmp_path / "run"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "batcher", "run", str(path), "-o", str(run), *to(rude)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs) as going:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert going.returncode in {0, 3, 5}, shown
    for sequence in (
        b"\x1b]0;",
        b"\x1b[2J",
        b"\x1b[31m",
        b"\x1b[5m",
        b"\xc2\x9b",
        b"\x07",
        "\u202e".encode(),
        "\u2066".encode(),
    ):
        assert sequence not in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side has closed it
        return b""


LOUD = """
import logging, warnings
from PIL import ImageFile
load = ImageFile.ImageFile.load
def loud(self):
    warnings.warn("an odd image " + EVIL, UserWarning, stacklevel=2)
    logging.getLogger("a library").warning("an odd image %s", EVIL)
    return load(self)
ImageFile.ImageFile.load = loud
from batcher.__main__ import entry
entry()
"""


def test_what_a_library_warns_of_is_one_line_that_does_nothing_to_the_terminal(tmp_path: Path, rude: Service) -> None:
    path = tmp_path / "m.txt"
    path.write_text("".join(f"a kite over hill {number}\n" for number in range(8)))  # some are refused there
    loud = f"EVIL = {SAID!r}{LOUD}"
    words = ["run", str(path), "-o", str(tmp_path / "run"), *map(str, to(rude)), "--progress", "none"]
    done = subprocess.run(
        [sys.executable, "-c", loud, *words], cwd=ROOT, env=environment(), capture_output=True, timeout=60, check=False
    )
    check(done, 0, 3, 5)
    assert b"an odd image" in done.stderr
    assert b"UserWarning" not in done.stderr
