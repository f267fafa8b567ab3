"""Runs whose pictures are one colour each, so that a sheet can be read back from its pixels alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from batcher.export.sheets.drawing import Wanted, draw
from batcher.export.sheets.faces import Faces
from batcher.simulator import Profile, Simulator
from batcher.store import connect_to_read
from tests.support.stage import go, steady
from tests.support.virtual import run

Colour = tuple[int, int, int]
SWEEP = """\
prompts: [a heron, {prompt: a kite, id: kite, meta: {style: ink}}]
matrix: {aspect_ratio: ["16:9", "1:1", "9:16"], seed: [3, 1, 10, 2]}
"""


def a_run(folder: Path, manifest: str = SWEEP, profile: Profile | None = None) -> Path:
    """A finished run in ``folder/run``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.yaml"
    path.write_text(manifest, "utf-8")
    run(go(folder / "run", path, Simulator(profile or steady())))
    return folder / "run"


def records(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "records.jsonl").read_text("utf-8").splitlines()]


def paint(run_dir: Path) -> dict[str, Colour]:
    """Every picture of the run in a colour of its own, at its own size; the colours by file."""
    colours = {}
    for number, record in enumerate(records(run_dir)):
        colour = (40 + 8 * (number % 16), 250 - 8 * (number // 16), 10 + 37 * number % 200)
        Image.new("RGB", (record["width"], record["height"]), colour).save(run_dir / record["file"])
        colours[record["file"]] = colour
    assert len(set(colours.values())) == len(colours)
    return colours


@dataclass(frozen=True)
class Box:
    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


def boxes(page: Path, colours: dict[str, Colour]) -> dict[str, Box]:
    """Where each colour stands on a page; it fills its box."""
    with Image.open(page) as image:
        pixels = image.convert("RGB")
    places: dict[Colour, list[int]] = {}
    data = pixels.tobytes()
    wanted = {bytes(colour): colour for colour in colours.values()}
    counts: dict[Colour, int] = {}
    for at in range(0, len(data), 3):
        colour = wanted.get(data[at : at + 3])
        if colour is not None:
            y, x = divmod(at // 3, pixels.width)
            box = places.setdefault(colour, [x, y, x, y])
            places[colour] = [min(box[0], x), min(box[1], y), max(box[2], x), max(box[3], y)]
            counts[colour] = counts.get(colour, 0) + 1
    placed = {}
    for file, colour in colours.items():
        if colour in places:
            left, top, right, bottom = places[colour]
            placed[file] = Box(left, top, right + 1, bottom + 1)
            assert counts[colour] == placed[file].size[0] * placed[file].size[1], "another picture stands over it"
    return placed


def drawn(run_dir: Path, **wanted: Any) -> SimpleNamespace:
    """The report of drawing."""
    connection = connect_to_read(run_dir)
    try:
        return SimpleNamespace(**draw(run_dir, connection, Wanted(**wanted), faces=Faces(())))
    finally:
        connection.close()


def ink(image: Image.Image, box: tuple[int, int, int, int]) -> int:
    """Pixels in the box that differ clearly from the ground of the sheet."""
    grey = image.convert("L").crop(box)
    return sum(grey.histogram()[:180])
