"""What takes the place of an interpreter's start for the other tests, where it fails."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support import quick_start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an interpreter starts as ever where there is no Linux")

VERSION = [sys.executable, "-m", "batcher", "--version"]


def silent(process: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    ours.settimeout(0.1)


def dead(process: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    process.kill()
    process.wait()


def mad(process: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.send(b"no number")
        os.dup2(answers.detach(), ours.fileno(), inheritable=False)


@pytest.mark.parametrize("fail", [silent, dead, mad])
def test_a_template_that_fails_is_given_up_and_the_command_starts_once_as_ever(
    fail: Callable[["subprocess.Popen[bytes]", socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    template: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
    monkeypatch.setattr(quick_start, "_template", template)
    monkeypatch.setattr(quick_start, "_off", [0])
    version = subprocess.check_output(VERSION)
    assert version.startswith(b"batcher, version ")
    ((process, ours),) = template
    fail(process, ours)
    assert subprocess.check_output(VERSION) == version
    assert process.poll() is not None
    assert subprocess.check_output(VERSION) == version
    assert not template
