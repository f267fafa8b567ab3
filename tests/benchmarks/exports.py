"""What an export costs, beside the system's own tools on the same files in the same run: `cp -al`, `cp -r`, `tar`.

Links cost the same whatever is in a file, so their pictures are tiny, and many: BATCHER_BENCH_IMAGES=100000 for the
whole hundred thousand. Shards are bound by bytes, so theirs have the size that pictures have.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

from batcher.job import Artifact, Entry, Job, job_key
from batcher.store import STATE, StateFile
from tests.benchmarks.table import Line
from tests.export.runs import picture

IMAGES = int(os.environ.get("BATCHER_BENCH_IMAGES", "40000"))
BIG_IMAGES, BIG = 2_000, 800_000  # bytes: of a generated PNG of about a megapixel
MODEL = "google-deepmind/imagen-4/fast/text-to-image"
FEW = 12_000  # more than one shard
FLAT = 16 << 20  # bytes that an export of many more pictures may take beyond one of few
ROUNDS = 2
_COMMAND = """
import sys
from batcher.__main__ import main
code = main(sys.argv[1:])
print(*[line for line in open("/proc/self/status") if line.startswith("VmHWM")])
sys.exit(code)
"""
LINKED = {"imagefolder": (), "layout": ("--layout", "{stem}/{number:06d}")}
SHARDED = ("webdataset", "parquet")


def measure() -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="batcher-bench-") as folder:
        base = Path(folder)
        few, many, big = base / "few", base / "many", base / "big"
        _make(few, FEW, picture(1))
        _make(many, IMAGES, picture(1))
        _make(big, BIG_IMAGES, os.urandom(BIG))
        for to, words in LINKED.items():
            yield _against(base, many, to, words, ["cp", "-al", str(many / "images")], "cp -al")
        yield _captions(base, many)
        for to in SHARDED:
            yield _against(base, big, to, (), ["tar", "-cf"], "tar")
        for to in ("imagefolder", *SHARDED):
            yield _memory(base, few, many, to)


def _against(base: Path, run: Path, to: str, words: tuple[str, ...], tool: list[str], name: str) -> Line:
    """The best of a few rounds of each, taken in turn, so that a busy moment meets both."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_export(run, base / "out", to, *words)[0])
        theirs.append(_timed([*tool, *_operands(tool, run, base)]))
        _clear(base)
    count = IMAGES if "many" in run.name else BIG_IMAGES
    ratio = min(ours) / min(theirs)
    return Line(
        what=f"{to}, {count:,} images", value=min(ours), unit="s", against=f"{name} ({min(theirs):.2f} s)",
        ratio=ratio, bound="at most 2x", ok=ratio <= 2,
        note=f"{count / min(ours):,.0f} images/s, with the start of Python",
    )  # fmt: skip


def _operands(tool: list[str], run: Path, base: Path) -> list[str]:
    return [str(base / "theirs")] + (["-C", str(run), "images"] if tool[0] == "tar" else [])


def _captions(base: Path, run: Path) -> Line:
    """A link and a small file each, so: `cp -al` of the pictures and `cp -r` of the texts."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_export(run, base / "out", "captions")[0])
        texts = base / "texts"
        texts.mkdir()
        for path in (base / "out").glob("*.txt"):
            path.rename(texts / path.name)
        theirs.append(
            _timed(["cp", "-al", str(run / "images"), str(base / "theirs")])
            + _timed(["cp", "-r", str(texts), str(base / "theirs2")])
        )
        _clear(base)
    ratio = min(ours) / min(theirs)
    return Line(
        what=f"captions, {IMAGES:,} images", value=min(ours), unit="s",
        against=f"cp -al and cp -r ({min(theirs):.2f} s)", ratio=ratio, bound="at most 2x", ok=ratio <= 2,
    )  # fmt: skip


def _memory(base: Path, few: Path, many: Path, to: str) -> Line:
    words = LINKED.get(to, ())
    low = _export(few, base / "out", to, *words)[1]
    _clear(base)
    high = _export(many, base / "out", to, *words)[1]
    _clear(base)
    return Line(
        what=f"{to}, peak memory", value=high / 1e6, unit="MB", against=f"{FEW:,} images ({low / 1e6:.0f} MB)",
        ratio=high / low, bound=f"at most {FLAT >> 20} MB more for {IMAGES:,}", ok=high - low <= FLAT,
    )  # fmt: skip


def _export(run: Path, out: Path, to: str, *words: str) -> tuple[float, int]:
    """Seconds of the whole command, and its peak memory in bytes (of the process itself, not of who started it)."""
    command = [sys.executable, "-c", _COMMAND, "export", str(run), str(out), "--to", to, *words]
    began = time.perf_counter()
    done = subprocess.run([*command, "--progress", "none"], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, 1024 * int(done.stdout.rsplit(maxsplit=2)[1])


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _clear(base: Path) -> None:
    for name in ("out", "theirs", "theirs2", "texts"):
        path = base / name
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink()


def _make(run: Path, count: int, content: bytes) -> None:
    """A finished run of so many images of these bytes, a file each."""
    run.mkdir()
    state = StateFile(run / STATE)
    try:
        state.must_commit([partial(state.set_meta, simulated=True)])
        for start in range(0, count, 1_000):
            (run / f"images/{start // 1_000:04d}").mkdir(parents=True)
            jobs = [_job(number) for number in range(start, min(count, start + 1_000))]
            ((_, entries),) = state.commit([partial(state.enlist, jobs)])
            state.must_commit([partial(_finish, state, entry, content) for entry in entries])
            for entry in entries:
                (run / f"images/{entry.path}.png").write_bytes(content)
    finally:
        state.close()


def _job(number: int) -> Job:
    inputs = {"prompt": f"a heron over lake {number // 4} at dusk", "seed": number % 4, "aspect_ratio": "16:9"}
    return Job(
        key=job_key(MODEL, inputs), model=MODEL, inputs=inputs, copy=1, prompt_id=f"heron-{number // 4}",
        meta={"category": "birds"}, source="birds.csv", line=number // 4 + 2,
        path=f"{number // 1_000:04d}/heron-{number // 4}_s{number % 4}",
    )  # fmt: skip


def _finish(state: StateFile, entry: Entry, content: bytes) -> None:
    entry = state.complete(
        state.accept(state.claim(entry, 1.79e9), entry.job.key, 1.79e9), ["https://x/y"], 0.02, 1.79e9
    )
    state.save(entry, [_artifact(entry, content)])


def _artifact(entry: Entry, content: bytes) -> Artifact:
    return Artifact(
        file=f"images/{entry.path}.png", bytes=len(content), sha256=sha256(entry.job.key.encode()).hexdigest(),
        mime="image/png", width=8, height=6, url="https://x/y", output_index=0, output_count=1,
        downloaded_at=1.79e9 + entry.id,
    )  # fmt: skip
