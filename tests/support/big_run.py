"""A run directory with as many finished jobs as wanted, which share a few real pictures."""

import json
import sqlite3
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b, sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from batcher.store import STATE
from batcher.store.schema import create

RATIOS = {"16:9": (1408, 768), "1:1": (1024, 1024), "3:4": (896, 1280)}
MODEL = "google-deepmind/imagen-4/fast/text-to-image"
COLOURS = ("#395b64", "#a5c9ca", "#e7f6f2", "#c84b31", "#ecdbba", "#2d4263", "#84a98c", "#52796f")


def make_run(
    folder: Path, jobs: int, *, seeds: int = 4, states: dict[int, str] | None = None, shrink: int = 4
) -> list[str]:
    """Jobs in groups of ``seeds``, a prompt for each three groups. states: of jobs, by number, that are not done.

    shrink: the sides of the images are this part of what the model makes; a browser has four times less to do.
    Returns the keys in order.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    files = [_picture(folder, ratio, colour, shrink) for ratio in RATIOS for colour in COLOURS]
    keys = [blake2b(b"%d" % number, digest_size=16).hexdigest() for number in range(jobs)]
    connection = sqlite3.connect(folder / STATE, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    create(connection)
    connection.execute("BEGIN")
    rows = list(_jobs(keys, seeds, states or {}))
    connection.executemany(
        "INSERT INTO jobs (key, state, position, model, inputs, copy, prompt_id, meta, source, line, path, name,"
        " attempts, outcome, request_id, submitted_at, finished_at, cost_usd, cause, message)"
        f" VALUES ({', '.join('?' * 20)})",
        rows,
    )
    connection.executemany(f"INSERT INTO images VALUES ({', '.join('?' * 12)})", _images(rows, files, seeds))
    facts = {"price_usd": 0.02, "manifest": "night.yaml", "command": "batcher run night.yaml", "total": jobs}
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)", [(name, json.dumps(value)) for name, value in facts.items()]
    )
    connection.execute("COMMIT")
    connection.close()
    return keys


def _jobs(keys: list[str], seeds: int, states: dict[int, str]) -> Iterator[tuple[Any, ...]]:
    for number, key in enumerate(keys):
        group, seed = divmod(number, seeds)
        prompt, ratio = divmod(group, len(RATIOS))
        inputs = {
            "prompt": f"Prompt number {prompt}: a lighthouse on a cliff, {COLOURS[prompt % 8]}, at dawn",
            "aspect_ratio": list(RATIOS)[ratio], "seed": seed,
        }  # fmt: skip
        state = states.get(number, "done")
        begun, done = state != "pending", state == "done"
        minute = number // 60 % 1440
        at = f"2026-11-29T{minute // 60:02}:{minute % 60:02}"
        yield (
            key, state, number, MODEL, json.dumps(inputs), 1, f"prompt-{prompt}",
            json.dumps({"category": f"c{prompt % 5}"}), "night.yaml", prompt + 3, f"images/{number}",
            str(number),
            int(begun), "saved" if done else "failed" if state == "failed" else None, f"r-{number}" if begun else None,
            f"{at}:01.000Z" if begun else None, f"{at}:09.500Z" if done else None, 0.02 if done else None,
            "content_policy" if state == "failed" else None, "refused by the filter" if state == "failed" else None,
        )  # fmt: skip


def _images(rows: list[tuple[Any, ...]], files: list[tuple[Any, ...]], seeds: int) -> Iterator[tuple[Any, ...]]:
    for number, row in enumerate(rows):
        if row[1] == "done":
            shape = number // seeds % len(RATIOS)
            file, size, digest, width, height = files[shape * len(COLOURS) + number % len(COLOURS)]
            yield (
                number + 1, 0, 1, file, size, digest, "image/png", width, height, "2026-11-29T03:00:00.000Z",
                "http://127.0.0.1/x.png", None,
            )  # fmt: skip


def _picture(folder: Path, ratio: str, colour: str, shrink: int) -> tuple[Any, ...]:
    width, height = (side // shrink for side in RATIOS[ratio])
    content = _drawn(width, height, colour)
    file = f"images/{ratio.replace(':', 'x')}-{colour[1:]}.png"
    (folder / file).write_bytes(content)
    return file, len(content), sha256(content).hexdigest(), width, height


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
