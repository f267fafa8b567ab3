"""``python -m tests.docs.pictures``: the pictures of the page in ``samples/``, made anew."""

import colorsys
import io
import math
import random
import sqlite3
import tempfile
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageDraw

from tests.docs import readme
from tests.support.big_run import RATIOS, make_run
from tests.support.browser import browser, page_server

WIDTH, HEIGHT = 1400, 900
JOBS = 48
PROMPTS = (
    "blue hour over the hills of Tuscany, flat illustration", "dunes in the last light, flat illustration",
    "heather moor under a low sun, flat illustration", "terraced rice fields at noon, flat illustration",
)  # fmt: skip
KEYS = {
    "groups": ["Shift+G", "Home", "ArrowRight", "Shift+P", "ArrowRight", "ArrowRight", "Shift+P", "4", "Home"],
    "loupe": ["ArrowRight", "Enter"],
    "overview": ["Escape", "o"],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as temp:
        run = Path("runs/tonight")  # as the commands on the page show it
        make_run(temp / run, JOBS, states={5: "failed", 46: "pending", 47: "pending"})
        paint(temp / run)
        with page_server(run, cwd=Path(temp)) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
            page.goto(server.url)
            page.wait_for_selector(".tile.loaded")
            for name, keys in KEYS.items():
                for key in keys:
                    page.keyboard.press(key)
                    page.wait_for_timeout(150)
                page.wait_for_timeout(4500)  # pictures are there, messages are gone
                picture = Image.open(io.BytesIO(page.screenshot()))
                picture.convert("RGB").save(readme.ROOT / f"samples/page-{name}.webp", quality=80, method=6)


def paint(run: Path) -> None:
    """A picture of its own for each job, and times that differ: nothing is flagged, and the plots have a shape."""
    chance = random.Random(4)
    connection = sqlite3.connect(run / "state.db")
    for number in range(JOBS):
        prompt, ratio = divmod(number // 4, len(RATIOS))
        content = landscape(prompt, number, *RATIOS[list(RATIOS)[ratio]])
        file = run / f"images/{number}.png"
        file.write_bytes(content)
        connection.execute(
            "UPDATE images SET file = ?, bytes = ?, sha256 = ? WHERE job_id = ?",
            (f"images/{number}.png", len(content), sha256(content).hexdigest(), number + 1),
        )
        began, took = number * 1.5 + chance.random() * 4, chance.lognormvariate(1.9, 0.35)
        times = [f"2026-11-29T03:{int(at // 60):02}:{at % 60:06.3f}Z" for at in (began, began + took)]
        connection.execute(
            "UPDATE jobs SET submitted_at = ?, finished_at = ? WHERE id = ? AND state = 'done'", (*times, number + 1)
        )
        connection.execute(
            "UPDATE jobs SET inputs = json_set(inputs, '$.prompt', ?) WHERE id = ?", (PROMPTS[prompt], number + 1)
        )
    connection.commit()
    connection.close()


def landscape(prompt: int, seed: int, width: int, height: int) -> bytes:
    """Ridges below a sun: the colours are the prompt's, the shapes the seed's. As PNG."""
    chance = random.Random(seed)
    hue = (0.55, 0.05, 0.78, 0.35)[prompt % 4] + chance.uniform(-0.06, 0.06)

    def colour(saturation: float, value: float, turn: float = 0.0) -> tuple[int, ...]:
        return tuple(round(255 * part) for part in colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))

    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for y in range(height):
        share = y / height
        draw.line([(0, y), (width, y)], fill=colour(0.6 - 0.4 * share, 0.55 + 0.42 * share, 0.1 * share))
    left, top, size = width * chance.uniform(0.1, 0.75), height * chance.uniform(0.05, 0.3), height * 0.18
    draw.ellipse((left, top, left + size, top + size), fill="#fff4d8")
    for ridge in range(4):
        base, rough = height * (0.5 + 0.13 * ridge), height * (0.16 - 0.025 * ridge)
        waves = [(chance.uniform(1, 7), chance.uniform(0, 6), chance.random()) for _ in range(5)]
        points = [
            (
                at,
                base
                - rough
                * sum(part * math.sin(often * at / width * math.pi + shift) for often, shift, part in waves)
                / 2,
            )
            for at in range(0, width + 8, 8)
        ]
        draw.polygon([(0, height), *points, (width, height)], fill=colour(0.45 + 0.1 * ridge, 0.52 - 0.13 * ridge))
    grain = Image.effect_noise((width, height), 18).convert("RGB")
    stream = io.BytesIO()
    Image.blend(image, grain, 0.06).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


if __name__ == "__main__":
    main()
