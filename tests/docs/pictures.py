"""``python -m tests.docs.pictures``: the pictures of the page in ``samples/``, made anew."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.docs import readme
from tests.support.big_run import make_run
from tests.support.browser import browser, page_server

WIDTH, HEIGHT = 1400, 900
KEYS = {
    "groups": ["Shift+G", "Home", "ArrowRight", "Shift+P", "ArrowRight", "ArrowRight", "Shift+P", "4", "Home"],
    "loupe": ["Enter"],
    "overview": ["Escape", "o"],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as temp:
        run = Path(temp) / "tonight"
        states = {5: "failed", 46: "pending", 47: "pending"}
        make_run(run, 48, states=states)
        with page_server(run) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
            page.goto(server.url)
            page.wait_for_selector(".tile.loaded")
            for name, keys in KEYS.items():
                for key in keys:
                    page.keyboard.press(key)
                    page.wait_for_timeout(150)
                page.wait_for_timeout(4500)  # pictures are there, messages are gone
                picture = Image.open(io.BytesIO(page.screenshot()))
                picture.convert("RGB").save(readme.ROOT / f"samples/page-{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
