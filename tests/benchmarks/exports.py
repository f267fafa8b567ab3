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
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from batcher.core.job import Artifact, Entry, Job, job_key
from batcher.store import STATE, StateFile
from tests.benchmarks.table import Line
from tests.support.handmade_runs import picture

IMAGES = int(os.environ.get("BATCHER_BENCH_IMAGES", "40000"))
BIG_IMAGES, BIG = 2_000, 800_000  # bytes: of a generated PNG of about a megapixel
MODEL = "google-deepmind/imagen-4/fast/text-to-image"
FEW = 22_000  # more than two shards: what is packed and what is being gathered
FLAT = 16 << 20  # bytes that an export of many more pictures may take beyond one of few
ROUNDS, SHARD_ROUNDS = 3, 4
LINKS, SHARDS = 4.0, 2.0  # times of what the system's own tools take, at most
_COMMAND = """
import sys
from batcher.__main__ import main
code = main(sys.argv[1:])
print(*[line for line in open("/proc/self/status") if line.startswith("VmHWM")])
sys.exit(code)
"""
ONE_FOLDER = ("--layout", "{stem}/{number:06d}")
MANY_FOLDERS = ("--layout", "{index:05d}/samples/{sample:04d}")  # as GenEval has them: one for each prompt
LINKED = {"imagefolder": (), "captions": (), "layout": ONE_FOLDER}
SHARDED = ("webdataset", "parquet")


def measure() -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="batcher-bench-") as folder:
        base = Path(folder)
        few, many, big = base / "few", base / "many", base / "big"
        _make(few, range(FEW), picture(1))
        _make(many, range(IMAGES), picture(1))
        _make(big, range(BIG_IMAGES), os.urandom(BIG))
        os.sync()  # what has just been made is not to be on its way to the disk meanwhile
        peaks: dict[str, int] = {}
        for to in ("imagefolder", "captions"):
            yield _links(base, many, to, peaks)
        yield _layout(base, many, "in one folder", ONE_FOLDER, peaks)
        yield _layout(base, many, f"in {IMAGES // 2:,} folders", MANY_FOLDERS, peaks)
        yield from _again(base, many)
        for to in SHARDED:
            yield _shards(base, big, to)
        for to in (*LINKED, *SHARDED):
            yield _memory(base, few, many, to, peaks.get(to))


def _links(base: Path, run: Path, to: str, peaks: dict[str, int]) -> Line:
    """The best of a few rounds of each, in turn, so that a busy moment meets both; every round in new folders.

    Nothing is deleted in between: making a file costs several times as much where many were deleted just now.
    """
    ours, links, texts = [], [], []
    for number in range(ROUNDS):
        out = base / f"{to}-{number}"
        seconds, peaks[to] = _export(run, out, to, *LINKED[to])
        ours.append(seconds)
        links.append(_timed(["cp", "-al", str(run / "images"), str(base / f"{to}-cp-{number}")]))
        if to == "captions":
            texts.append(_texts(out, base / f"texts-{number}"))
    per_second = f"{IMAGES / min(ours):,.0f} images/s, with the start of Python"
    if not texts:
        return _line(f"{to}, {IMAGES:,} images", min(ours), f"cp -al ({min(links):.2f} s)", min(links), per_second)
    both = min(map(sum, zip(links, texts, strict=True)))
    alone = f"{min(ours) / min(links):.1f} of cp -al alone, which makes no text; {per_second}"
    return _line(f"{to}, {IMAGES:,} images and texts", min(ours), f"cp -al and cp -r ({both:.2f} s)", both, alone)


def _layout(base: Path, run: Path, shape: str, words: tuple[str, ...], peaks: dict[str, int]) -> Line:
    """Beside a copy of the same folders: a very large one, and very many, cost more than the pictures in them."""
    ours, links = [], []
    for number in range(ROUNDS):
        out = base / f"layout-{len(words[1])}-{number}"
        seconds, peaks["layout"] = _export(run, out, "layout", *words)
        ours.append(seconds)
        links.append(_timed(["cp", "-al", str(out), f"{out}-cp"]))
    against = f"cp -al of what it made ({min(links):.2f} s)"
    return _line(f"layout, {IMAGES:,} images {shape}", min(ours), against, min(links), "")


def _texts(out: Path, texts: Path) -> float:
    """Seconds that copying the texts of this export takes."""
    texts.mkdir()
    for path in out.glob("*.txt"):
        path.rename(texts / path.name)
    return _timed(["cp", "-r", str(texts), str(texts.with_name(f"{texts.name}-cp"))])


def _again(base: Path, run: Path) -> Iterator[Line]:
    """The same command over an export that is there: with nothing new, and with a hundredth new."""
    first, _ = _export(run, base / "again", "imagefolder")
    same, _ = _export(run, base / "again", "imagefolder")
    _make(run, range(IMAGES, IMAGES + IMAGES // 100), picture(1))
    more, _ = _export(run, base / "again", "imagefolder")
    for what, seconds in (("nothing new", same), (f"{IMAGES // 100:,} new", more)):
        yield Line(
            what=f"imagefolder again, {what}", value=seconds, unit="s", against=f"the first time ({first:.2f} s)",
            ratio=seconds / first,
        )  # fmt: skip


def _shards(base: Path, run: Path, to: str) -> Line:
    """What was written goes at once, and before each so much is written and removed: memory that the machine has just
    had in use costs a half of what new memory costs, and each is to have the same.
    """
    ours, theirs, forced = [], [], []
    out, tar = base / "shards", base / "theirs.tar"
    for _ in range(SHARD_ROUNDS):
        _use_memory(base)
        theirs.append(_timed(["tar", "-cf", str(tar), "-C", str(run), "images"]))
        forced.append(_timed(["sync", str(tar)]))
        tar.unlink()
        _use_memory(base)
        ours.append(_export(run, out, to)[0])
        shutil.rmtree(out)
    total = BIG_IMAGES * BIG
    note = f"forced to the disk, as tar is not: {min(forced):.2f} s for tar's; {total / min(ours) / 1e6:,.0f} MB/s"
    return _line(f"{to}, {total / 1e9:.1f} GB", min(ours), f"tar ({min(theirs):.2f} s)", min(theirs), note, SHARDS)


def _use_memory(base: Path) -> None:
    chunk = bytes(1 << 20)
    with (base / "used").open("wb") as file:
        for _ in range(BIG_IMAGES * BIG >> 20):
            file.write(chunk)
    (base / "used").unlink()


def _line(what: str, seconds: float, against: str, reference: float, note: str, most: float = LINKS) -> Line:
    ratio = seconds / reference
    return Line(
        what=what, value=seconds, unit="s", against=against, ratio=ratio, bound=f"at most {most:g}x", ok=ratio <= most,
        note=note,
    )  # fmt: skip


def _memory(base: Path, few: Path, many: Path, to: str, high: int | None) -> Line:
    """high: the peak of an export of many, when it is known."""
    words = LINKED.get(to, ())
    low = _export(few, base / f"few-{to}", to, *words)[1]
    high = high or _export(many, base / f"many-{to}", to, *words)[1]
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


def _make(run: Path, numbers: range, content: bytes) -> None:
    """A finished run, or more of it: an image of these bytes for each number."""
    run.mkdir(exist_ok=True)
    state = StateFile(run / STATE)
    try:
        state.must_commit([partial(state.change_facts, lambda facts: replace(facts, simulated=True))])
        for start in range(numbers.start, numbers.stop, 1_000):
            jobs = [_job(number) for number in range(start, min(numbers.stop, start + 1_000))]
            for folder in {job.path.partition("/")[0] for job in jobs}:
                (run / "images" / folder).mkdir(parents=True, exist_ok=True)
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
