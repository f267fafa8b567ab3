"""Bad input gets a clear message, the right exit code, and nothing made or spent."""

import os
import subprocess
import sys

import pytest

from batcher.client.catalogue import ONCE
from tests.support.command_line import NETWORK_FREE, TOKEN, Shell, assert_no_traceback
from tests.support.rude_server import RudeServer

MANIFESTS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("p.txt", b"", "there is no prompt in it"),
    "blank": ("p.txt", b"\n  \n\n", "there is no prompt in it"),
    "a header alone": ("p.csv", b"prompt,seed\n", "there is no prompt in it"),
    "empty YAML": ("p.yaml", b"", "p.yaml"),
    "a picture": ("p.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG image"),
    "binary": ("p.txt", b"a heron\n\0\1\2", "zero byte at offset 8"),
    "Latin-1": ("p.txt", "a heron\nein Käse\n".encode("latin-1"), "byte 0xE4 at offset 13"),
    "no known ending": ("p.xyz", b"a heron\n", "--format"),
    "bad ratio": ("p.csv", b"prompt,aspect_ratio\na heron,2:1\n", "p.csv:2"),
    "bad seed": ("p.csv", b"prompt,seed\na heron,abc\n", "p.csv:2"),
    "misspelt key": ("p.yaml", b"prompts: [a heron]\nmatrix: {aspect_ration: ['1:1']}\n", "aspect_ratio"),
    "no text": ("p.yaml", b"prompts: [42]\n", "p.yaml:1:11"),
    "broken YAML": ("p.yaml", b"prompts: [a, b\n", "p.yaml:"),
    "bad run option": ("p.yaml", b"prompts: [a]\nrun: {rate: fast}\n", "a rate looks like 5/s"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_bad_manifest_is_65_and_nothing_is_made(shell: Shell, what: str) -> None:
    name, content, message = MANIFESTS[what]
    shell.file(name, content)
    came = shell("plan", name, "--json")
    assert came.code == 65
    assert message in came.err
    assert "Nothing was submitted and nothing was spent." in came.err
    assert came.json["exit_code"] == 65
    assert came.json["errors"][0]["file"] == name
    assert_no_traceback(came)
    assert shell.tree() == {name}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_bad_manifest_is_not_run(shell: Shell, service: RudeServer, what: str) -> None:
    name, content, message = MANIFESTS[what]
    shell.file(name, content)
    came = shell("run", name)
    assert came.code == 65
    assert message in came.err
    assert_no_traceback(came)
    assert shell.tree() == {name}


@pytest.mark.parametrize("name", ["missing.txt", "missing.yaml", "nowhere/p.csv", "", "p\x1b[31m.txt", "x" * 300])
def test_a_missing_manifest_is_65_and_nothing_is_made(shell: Shell, name: str) -> None:
    for words in (["run", name, "--simulate"], ["plan", name]):
        came = shell(*words)
        assert came.code == 65
        assert "there is no such file" in came.err or "name does not say" in came.err
        assert "\x1b" not in came.err
        assert_no_traceback(came)
    assert shell.tree() == set()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights don't bind this user")
def test_an_unreadable_manifest_is_65(shell: Shell) -> None:
    shell.file("p.txt", "a heron\n")
    (shell.folder / "p.txt").chmod(0)
    came = shell("plan", "p.txt")
    assert came.code == 65
    assert "Permission denied" in came.err


def test_a_folder_in_place_of_a_manifest_without_texts_is_65(shell: Shell) -> None:
    (shell.folder / "p").mkdir()
    came = shell("plan", "p")
    assert came.code == 65
    assert_no_traceback(came)


def test_all_errors_of_a_manifest_come_at_once(shell: Shell) -> None:
    shell.file("p.csv", "prompt,seed,aspect_ratio\na,x,1:1\nb,1,7:1\n,3,1:1\n")
    came = shell("run", "p.csv", "--simulate", "-o", "made")
    assert came.code == 65
    assert [line.split(":")[1] for line in came.err.splitlines() if line.startswith("p.csv")] == ["2", "3", "4"]


def test_a_missing_token_names_the_three_ways_and_the_simulator(shell: Shell) -> None:
    shell.file("p.txt", "a heron\n")
    came = shell("run", "p.txt")
    assert came.code == 77
    for way in ("RUNCOMFY_TOKEN", "--token-file", "runcomfy login", "--simulate"):
        assert way in came.err
    assert shell.tree() == {"p.txt"}


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe", b"{}", b'{"access_token": ', b"a\x1b[31mb"])
def test_a_bad_token_file_is_77_and_its_content_is_not_shown(shell: Shell, content: bytes | None) -> None:
    shell.file("p.txt", "a heron\n")
    if content is not None:
        shell.file("token", content)
    came = shell("run", "p.txt", "--token-file", "token", "--base-url", NETWORK_FREE)
    assert came.code == 77
    assert "token" in came.err
    assert "two words" not in came.err
    assert "\x1b" not in came.err
    assert_no_traceback(came)
    assert "runs" not in shell.tree()


@pytest.mark.parametrize(
    "url",
    ["http://evil.example/v1", "https://u:p@host/v1", "https://host/v1?x=1", "http://localhost:abc/v1"],
)
def test_a_base_url_that_is_no_root_is_64(shell: Shell, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
    shell.file("p.txt", "a heron\n")
    came = shell("run", "p.txt", "--base-url", url)
    assert came.code == 64
    assert TOKEN not in came.err
    assert_no_traceback(came)
    assert shell.tree() == {"p.txt"}


BAD_FLAGS = [
    ["run"],
    ["run", "p.txt", "--rate", "fast"],
    ["run", "p.txt", "--rate", "0/s"],
    ["run", "p.txt", "--in-flight", "0"],
    ["run", "p.txt", "--downloads", "-1"],
    ["run", "p.txt", "--limit", "none"],
    ["run", "p.txt", "--check", "deep"],
    ["run", "p.txt", "--budget", "lots"],
    ["run", "p.txt", "--in-doubt", "maybe"],
    ["run", "p.txt", "--deadline", "25:00"],
    ["run", "p.txt", "--set", "seed"],
    ["run", "p.txt", "--set", "=5"],
    ["run", "p.txt", "--matrix", "seed"],
    ["plan", "p.txt", "--matrix", "seed=9..1"],
    ["run", "p.txt", "--format", "docx"],
    ["run", "p.txt", "--progress", "dots"],
    ["run", "p.txt", "--no-such-flag"],
    ["run", "p.txt", "another.txt"],
    ["plan", "p.txt", "--attempts", "0"],
    ["retry", "runs/p", "--state", "done"],
    ["status", "nowhere"],
    ["retry", "nowhere"],
    ["cancel", "nowhere"],
    ["simulate", "--port", "99999"],
    ["simulate", "--profile", "missing.yaml"],
    ["simulate", "--fault", "nonsense"],
    ["--no-such-flag"],
]


@pytest.mark.parametrize("words", BAD_FLAGS, ids=" ".join)
def test_a_wrong_command_line_is_64_and_nothing_is_made(shell: Shell, words: list[str]) -> None:
    shell.file("p.txt", "a heron\n")
    came = shell(*words, *(["--simulate"] if words[:2] == ["run", "p.txt"] else []))
    assert came.code == 64
    assert came.err.startswith("batcher: ")
    assert came.out == ""
    assert_no_traceback(came)
    assert shell.tree() == {"p.txt"}


@pytest.mark.parametrize(
    ("word", "meant"), [("runn", "run"), ("statsu", "status"), ("Retry", "retry"), ("simulator", "simulate")]
)
def test_an_unknown_command_is_64_with_what_was_meant(shell: Shell, word: str, meant: str) -> None:
    came = shell(word)
    assert came.code == 64
    assert f"'{meant}'" in came.err.replace("?", "")


def test_a_command_nobody_can_have_meant_gets_no_guess(shell: Shell) -> None:
    came = shell("frobnicate\x1b[31m")
    assert came.code == 64
    assert "Did you mean" not in came.err
    assert "\x1b" not in came.err


def test_no_command_shows_the_help(shell: Shell) -> None:
    came = shell()
    assert came.code == 64
    assert came.out.startswith("Usage: batcher")


@pytest.mark.parametrize(
    "words",
    [["status", "nowhere"], ["runn"], ["plan", "missing.txt"], ["plan", "x", "--bad"], ["retry", "a", "--state", "b"]],
)
def test_an_error_under_json_parses(shell: Shell, words: list[str]) -> None:
    came = shell(*words, "--json")
    assert came.json["exit_code"] == came.code
    assert came.json["error"]
    assert came.err


def test_an_unknown_model_is_65(shell: Shell) -> None:
    shell.file("p.txt", "a heron\n")
    came = shell("run", "p.txt", "--simulate", "--model", "nobody/nothing/text-to-image", "--progress", "none")
    assert came.code == 65
    assert "does not know the model 'nobody/nothing/text-to-image'" in came.err
    assert_no_traceback(came)


def test_a_service_nobody_answers_at_is_69_and_nothing_is_made(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
    monkeypatch.setattr("batcher.client.catalogue.PATIENCE", ONCE)
    shell.file("p.txt", "a heron\n")
    came = shell("run", "p.txt", "--base-url", NETWORK_FREE)
    assert came.code == 69
    assert "does not answer" in came.err
    assert "--simulate" in came.err
    assert TOKEN not in came.err
    assert shell.tree() == {"p.txt"}


def test_a_defect_is_1_with_its_traceback_and_a_word_on_what_is_kept(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("provoked")

    monkeypatch.setattr("batcher.store.reading.counts", broken)
    with shell.run_directory() as book:
        book.done()
    came = shell("status", "run")
    assert came.code == 1
    assert "ZeroDivisionError: provoked" in came.err
    assert "this is a defect in batcher. Please report it" in came.err
    assert "can be resumed" in came.err


def test_bad_input_to_a_real_process_ends_it_the_same_way(shell: Shell) -> None:
    shell.file("p.csv", b"prompt\n\xff\n")
    came = shell.process("run", "p.csv", "--simulate", "-o", "made")
    assert came.code == 65
    assert "byte 0xFF at offset 7" in came.err
    came = shell.process("run", "-", "--simulate", "-o", "made", stdin=b"")
    assert came.code == 65
    assert "<stdin>" in came.err
    assert_no_traceback(came)
    assert shell.process("runn").code == 64
    assert shell.process("status", "made2").code == 64


@pytest.mark.parametrize(
    "words", [["plan", "p.txt"], ["plan", "p.txt", "--json"], ["status", "run"], ["status", "run", "--json"]]
)
def test_a_reader_that_has_gone_is_no_defect(shell: Shell, words: list[str]) -> None:
    shell.file("p.txt", "a heron\n")
    with shell.run_directory() as book:
        book.done()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "batcher", *words], cwd=shell.folder, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
