"""One target, many inputs: the loop that mutates, runs, measures and keeps what went wrong.

    python -m tests.fuzz.campaign TARGET INPUTS SEED FOLDER      one JSON line on standard output

Every input is run once with a clock on it. One in sixteen is run again under a line tracer: an input that reached a
line of batcher that no input before it had reached joins the corpus, so that later ones start from it.

A finding is an exception that the target does not allow, an input that took over a second (twice: the machine may have
been busy), or one after which the process had grown over the limit. Findings are told apart by where they were raised.
"""

import faulthandler
import hashlib
import json
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import batcher
from tests.fuzz.mutation import LONGEST, mutated
from tests.fuzz.target import Target

HANG = 1.0  # seconds for one input
MOST_RSS = 500 * 2**20
_TRACE_EVERY = 16
_STUCK = 60.0  # seconds after which even C code that never returns is given up on
_MOST_CORPUS = 2_000
_PACKAGE = str(Path(batcher.__file__).parent)


@dataclass
class Outcome:
    """What a campaign came to. slowest: seconds; rss: bytes at the peak; findings: one line each."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    rss: int = 0
    corpus: int = 0
    findings: list[str] = field(default_factory=list)


class Campaign:
    """most_rss: None where the process does other things as well."""

    def __init__(self, target: Target, seed: int, folder: Path, *, most_rss: int | None = MOST_RSS) -> None:
        self._most_rss = most_rss
        self.target = target
        self.folder = folder
        self.rng = Random(f"{seed}/{target.name}")
        self.corpus = target.corpus()
        self.lines: set[tuple[str, int]] = set()
        self.outcome = Outcome(target.name)
        self._kinds: set[str] = set()

    def run(self, inputs: int) -> Outcome:
        began = time.perf_counter()
        for number, data in enumerate(self._inputs(inputs)):
            self._one(data)
            if number % _TRACE_EVERY == 0 and self._reaches_more(data) and len(self.corpus) < _MOST_CORPUS:
                self.corpus.append(data)
        self.outcome.inputs = inputs
        self.outcome.seconds = time.perf_counter() - began
        self.outcome.rss = peak_rss()
        self.outcome.corpus = len(self.corpus)
        return self.outcome

    def _inputs(self, count: int) -> Iterator[bytes]:
        yield from self.corpus[:count]
        target, rng = self.target, self.rng
        for _ in range(count - len(self.corpus)):
            if target.make is not None and rng.random() < 0.5:
                data = target.make(rng, self.corpus)
            else:
                data = mutated(rng.choice(self.corpus), rng, self.corpus, target.tokens)
            yield (target.finish(data, rng) if target.finish else data)[:LONGEST]

    def _one(self, data: bytes) -> None:
        seconds = self._timed(data)
        if seconds > HANG:
            seconds = min(seconds, self._timed(data))
            if seconds > HANG:
                self._keep(data, "hang", f"{seconds:.1f} s")
        self.outcome.slowest = max(self.outcome.slowest, seconds)
        if self._most_rss is not None and peak_rss() > self._most_rss:
            self._keep(data, "memory", f"{peak_rss() / 2**20:.0f} MB")

    def _timed(self, data: bytes) -> float:
        (self.folder / "at-hand").write_bytes(data)
        faulthandler.dump_traceback_later(_STUCK, exit=True)
        began = time.perf_counter()
        try:
            self.target.check(data)
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            self._keep(data, *_described(error))
        finally:
            faulthandler.cancel_dump_traceback_later()
        return time.perf_counter() - began

    def _keep(self, data: bytes, kind: str, words: str) -> None:
        if kind in self._kinds:
            return
        self._kinds.add(kind)
        digits = hashlib.sha256(data).hexdigest()[:10]
        path = self.folder / f"{self.target.name.replace('/', '-')}-{digits}"
        path.write_bytes(data)
        path.with_name(path.name + ".txt").write_text(f"{kind}\n{words}\n", "utf-8", "backslashreplace")
        self.outcome.findings.append(f"{self.target.name}: {kind}: {words.splitlines()[-1][:160]} ({path})")

    def _reaches_more(self, data: bytes) -> bool:
        before, tracer = len(self.lines), sys.gettrace()
        sys.settrace(self._trace)
        try:
            self.target.check(data)
        except Exception:  # noqa: BLE001  it was reported when it ran untraced
            pass
        finally:
            sys.settrace(tracer)
        return len(self.lines) > before

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE):
            return None
        if event == "line":
            self.lines.add((name, frame.f_lineno))
        return self._trace


def _described(error: Exception) -> tuple[str, str]:
    """What tells one finding from another (the kind of error and its place), and the whole story."""
    stack = traceback.extract_tb(error.__traceback__)
    place = stack[-1]
    ours = next((frame for frame in reversed(stack) if frame.filename.startswith(_PACKAGE)), place)
    words = "".join(traceback.format_exception(error, limit=-12))
    return f"{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno}", words


def peak_rss() -> int:
    """Bytes this process had in memory at most, itself alone (``ru_maxrss`` would count the parent's past too)."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123  four times for each input
            text = status.read(4096)
        at = text.index(b"VmHWM:") + 6
        return int(text[at : text.index(b"kB", at)]) * 1024
    except OSError:
        import resource  # noqa: PLC0415  where there is no /proc

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: list[str]) -> None:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  this module is what they build on

    name, inputs, seed, folder = arguments
    target = next(target for target in TARGETS if target.name == name)
    outcome = Campaign(target, int(seed), Path(folder)).run(int(inputs))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main(sys.argv[1:])
