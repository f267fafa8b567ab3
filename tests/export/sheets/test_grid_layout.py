"""Places, for any sheet: everything once, nothing over anything else, no page over the caps."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.export.sheets.faces import Faces
from batcher.export.sheets.gather import Sheet, Tile
from batcher.export.sheets.table import MAX_PIXELS, MAX_SIDE, Layout, Page, bands, cell_of, fitted, side_of
from batcher.export.sheets.text import Writer

WRITER = Writer(Faces(()))
SHAPES = [(1408, 768), (768, 1408), (1024, 1024), (3000, 40), (40, 3000), (16, 16)]


@cache
def tile(number: int, shape: int) -> Tile:
    width, height = SHAPES[shape]
    return Tile(f"images/{number}.png", width, height) if number % 7 else Tile(None, width, height, "failed", "why")


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    rows, cols = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    sheet = Sheet(draw(st.sampled_from(["", "a heron", "a long prompt " * 60])), "a", {})
    sheet.rows = [f"row {number} " * draw(st.sampled_from([1, 1, 30])) for number in range(rows)]
    sheet.cols = [f"column {number}" for number in range(cols)]
    several = draw(st.sampled_from([1, 1, 2, 5, 40]))
    part = draw(st.sampled_from([1, 1, 3]))
    number = 0
    for row in range(rows):
        for col in range(cols):
            if (row * cols + col) % part == 0:
                sheet.cells[row, col] = [tile(number + at, (row + at) % len(SHAPES)) for at in range(several)]
                number += several
    return sheet


def pages(sheet: Sheet, axes: tuple[str | None, str], size: int) -> list[Page]:
    sheet.axes = axes
    return list(Layout(sheet, size, WRITER).pages("below the title"))


@settings(max_examples=15, deadline=None)
@given(sheets(), st.sampled_from([32, 256, 2048]), st.booleans())
def test_every_tile_has_its_place_and_no_page_is_over_the_caps(sheet: Sheet, size: int, flows: bool) -> None:
    if flows:
        sheet.cells = {(0, col): tiles for (row, col), tiles in sheet.cells.items() if row == 0}
    made = pages(sheet, (None if flows else "seed", "shape"), size)
    shown = 0
    for page in made:
        assert page.width <= MAX_SIDE
        assert page.height <= MAX_SIDE
        assert page.width * page.height <= MAX_PIXELS
        corners = []
        for spot in page.spots:
            assert 0 <= spot.x < spot.x + spot.width <= page.width
            assert 0 <= spot.y < spot.y + spot.height <= page.height
            assert max(spot.width, spot.height) <= size
            corners.append((spot.x, spot.y, spot.x + spot.width, spot.y + spot.height))
        for text in page.texts:
            assert text.x >= 0
            assert text.x + max(text.block.width, text.block.room) <= page.width
            assert text.y + text.block.height <= page.height
            corners.append((text.x, text.y, text.x + text.block.width, text.y + text.block.height))
        if len(corners) < 500:
            assert not overlapping(corners)
        shown += sum(1 for spot in page.spots if not spot.tile.word.startswith("+"))
        shown += sum(int(spot.tile.word[1:]) for spot in page.spots if spot.tile.word.startswith("+"))
    assert shown == sum(map(len, sheet.cells.values()))
    assert [page.number for page in made] == list(range(1, len(made) + 1))


def overlapping(boxes: list[tuple[int, int, int, int]]) -> list[object]:
    return [
        (one, other)
        for number, one in enumerate(boxes)
        for other in boxes[number + 1 :]
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=80), st.integers(1, 400))
def test_bands_cover_everything_once_in_order_and_keep_the_limit(sizes: list[int], limit: int) -> None:
    ranges = bands(sizes, limit)
    assert [number for start, end in ranges for number in range(start, end)] == list(range(len(sizes)))
    assert all(end - start == 1 or sum(sizes[start:end]) <= limit for start, end in ranges)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(32, 2048))
def test_an_image_keeps_its_shape_to_the_pixel(width: int, height: int, side: int) -> None:
    wide, high = fitted(Tile("a", width, height), side)
    factor = min(1, side / max(width, height))
    assert abs(wide - max(1, width * factor)) <= 0.5
    assert abs(high - max(1, height * factor)) <= 0.5


@given(st.integers(1, 500), st.integers(32, 512))
def test_images_of_a_sheet_have_one_size_however_many_stand_in_a_cell(count: int, size: int) -> None:
    side = side_of(count, size)
    many, one = cell_of([tile(1, 2)] * count, side, size), cell_of([tile(1, 2)], side, size)
    assert {max(spot.width, spot.height) for spot in many.spots} == {one.spots[0].width} == {min(side, 1024)}
    assert len(many.spots) == min(count, 16)


def test_a_sheet_over_the_caps_becomes_pages_of_about_the_same_length_that_say_what_they_show() -> None:
    sheet = Sheet("a heron", "a", {})
    sheet.rows, sheet.cols = [str(number) for number in range(1, 401)], ["16:9", "1:1"]
    sheet.cells = {(row, col): [tile(1, col)] for row in range(400) for col in range(2)}
    made = pages(sheet, ("seed", "aspect_ratio"), 256)
    assert len(made) == 7
    assert max(page.height for page in made) - min(page.height for page in made) < 300
    titles = [" ".join(page.texts[1].block.lines) for page in made]
    assert titles[0].endswith("page 1 of 7, seed 1 to 57")
    assert titles[-1].endswith("page 7 of 7, seed 344 to 400")
