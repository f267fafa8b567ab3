"""A run directory with as many finished jobs as wanted, which share a few real pictures."""

from functools import cache
from hashlib import blake2b, sha256
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from batcher.core.errors import Cause
from batcher.core.job import Artifact, Entry, Job
from batcher.store import StateFile
from tests.support.state_files import MODEL, a_book

RATIOS = {"16:9": (1408, 768), "1:1": (1024, 1024), "3:4": (896, 1280)}
MIDNIGHT = 1_795_910_400.0  # 2026-11-29T00:00:00Z
REFUSED = Cause(kind="content_policy", message="refused by the filter")
COLOURS = ("#395b64", "#a5c9ca", "#e7f6f2", "#c84b31", "#ecdbba", "#2d4263", "#84a98c", "#52796f")


def make_run(
    folder: Path, jobs: int, *, seeds: int = 4, states: dict[int, str] | None = None, shrink: int = 4
) -> list[str]:
    """Jobs in groups of ``seeds``, a prompt for each three groups. states: of jobs, by number, that are not done.

    shrink: the sides of the images are this part of what the model makes; a browser has four times less to do.
    Returns the keys in order.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    files = {(ratio, colour): _picture(folder, ratio, colour, shrink) for ratio in RATIOS for colour in COLOURS}
    asked = [_job(number, seeds) for number in range(jobs)]
    with a_book(folder) as book:
        book.note(price_usd=0.02, manifest="night.yaml", command="batcher run night.yaml", total=jobs)
        entries = book.enlist(*asked)
        book.do(_end_all, book.state, entries, files, states or {})
    return [job.key for job in asked]


def _job(number: int, seeds: int) -> Job:
    group, seed = divmod(number, seeds)
    prompt, ratio = divmod(group, len(RATIOS))
    text = f"Prompt number {prompt}: a lighthouse on a cliff, {COLOURS[prompt % 8]}, at dawn"
    return Job(
        key=blake2b(b"%d" % number, digest_size=16).hexdigest(), model=MODEL, copy=1, prompt_id=f"prompt-{prompt}",
        inputs={"prompt": text, "aspect_ratio": list(RATIOS)[ratio], "seed": seed},
        meta={"category": f"c{prompt % 5}"}, source="night.yaml", line=prompt + 3, path=str(number),
    )  # fmt: skip


def _end_all(
    state: StateFile, entries: list[Entry], files: dict[tuple[str, str], Artifact], states: dict[int, str]
) -> None:
    for number, entry in enumerate(entries):
        becomes, at = states.get(number, "done"), MIDNIGHT + number // 60 % 1440 * 60 + 1
        if becomes == "pending":
            continue
        running = state.accept(state.claim(entry, at), f"r-{number}", at)
        if becomes == "failed":
            state.fail_there(running, REFUSED, None, at + 8.5, again=False)
        else:
            ready = state.complete(running, ["http://127.0.0.1/x.png"], 0.02, at + 8.5)
            state.save(ready, [files[entry.job.inputs["aspect_ratio"], COLOURS[number % len(COLOURS)]]])


def _picture(folder: Path, ratio: str, colour: str, shrink: int) -> Artifact:
    width, height = (side // shrink for side in RATIOS[ratio])
    content = _drawn(width, height, colour)
    file = f"images/{ratio.replace(':', 'x')}-{colour[1:]}.png"
    (folder / file).write_bytes(content)
    return Artifact(
        file=file, bytes=len(content), sha256=sha256(content).hexdigest(), mime="image/png", width=width, height=height,
        url="http://127.0.0.1/x.png", output_index=0, output_count=1, downloaded_at=MIDNIGHT + 3 * 3600,
    )  # fmt: skip


@cache
def _drawn(width: int, height: int, colour: str) -> bytes:
    image = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.6, height * 0.15, width * 0.8, height * 0.15 + width * 0.2), fill="#fff3d6")
    draw.polygon([(0, height), (width * 0.35, height * 0.4), (width * 0.7, height)], fill="#1f2a36")
    draw.polygon([(width * 0.4, height), (width * 0.75, height * 0.55), (width, height)], fill="#2e3d4d")
    held = BytesIO()
    image.save(held, "PNG")
    return held.getvalue()
