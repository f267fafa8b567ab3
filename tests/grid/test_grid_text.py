"""Text in all scripts: which font, which order, which lines, and no box that nobody is told of."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, features

from batcher.export.sheets.characters import LTR, RTL, script
from batcher.export.sheets.coverage import Coverage, coverage
from batcher.export.sheets.faces import BUNDLED, Faces, machine
from batcher.export.sheets.text import Block, Run, Writer, _seen

LANGUAGES = {
    "Chinese": "三只猫坐在湖边的石头上，看着远处的山。",
    "Japanese": "夕暮れの湖の上を飛ぶ一羽の鷺",
    "Korean": "안개 낀 호수 위를 나는 왜가리",
    "Devanagari": "धुंध भरी झील के ऊपर एक बगुला",
    "Thai": "นกกระสาบินเหนือทะเลสาบที่มีหมอก",
}
ARABIC = "طائر مالك الحزين"


def lines_of(block: Block) -> list[str]:
    """As they are seen, run by run."""
    return ["|".join(run.text for run in line) for line in block.lines]


def picture(block: Block) -> Image.Image:
    image = Image.new("RGB", (block.width + 40, block.height + 20), "white")
    block.draw(ImageDraw.Draw(image), 20, 10, (0, 0, 0), room=block.width)
    return image.convert("L")


def test_the_bundled_font_has_latin_greek_cyrillic_arabic_and_hebrew() -> None:
    writer = Writer(Faces(()))
    for text in ("Zoë’s café – naïve", "Ελληνικά", "Кириллица", ARABIC, "שלום עולם", "հայ", "ქარ", "😀 ❤ ☂ →"):
        block = writer.block(text, 20, width=500, lines=1)
        assert sum(picture(block).histogram()[:128]) > 50, text
    assert not writer.missing


def test_what_no_font_has_is_told_by_the_name_of_its_script() -> None:
    writer = Writer(Faces(()))
    for text in LANGUAGES.values():
        writer.block(text, 20, width=500, lines=3)
    writer.block("a \U0001f984 runs", 20, width=500, lines=1)
    assert set(writer.missing) >= {"CJK", "Hiragana", "Hangul", "Devanagari", "Thai", "emoji"}
    assert script("三") == "CJK"
    assert script("\U0001f984") == "emoji"
    assert script("\ue000") == "U+E000"


@pytest.mark.parametrize("language", LANGUAGES)
def test_with_the_fonts_of_the_extra_nothing_is_missing(language: str) -> None:
    if not any(path.name.startswith("NotoSans") for path in machine()):
        pytest.skip("the extra is not installed")
    writer = Writer(Faces())
    block = writer.block(LANGUAGES[language], 24, width=800, lines=1)
    assert not writer.missing
    image = picture(block)
    boxes = picture(Writer(Faces(())).block(LANGUAGES[language], 24, width=800, lines=1))
    assert image.tobytes() != boxes.tobytes()
    assert sum(image.histogram()[:128]) > 200


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow was built without Raqm")
def test_arabic_letters_are_joined() -> None:
    font = ImageFont.truetype(BUNDLED, 24)
    block = Writer(Faces(())).block(ARABIC, 24, width=800, lines=1)
    apart = sum(font.getlength(char) for char in ARABIC)
    assert block.width < 0.9 * apart


def test_a_line_from_right_to_left_is_turned_round_with_what_it_quotes_left_as_it_is() -> None:
    writer = Writer(Faces(()))
    (line,) = lines_of(writer.block("אבג abc 35mm דהו", 20, width=900, lines=1))
    assert line == " דהו|abc 35mm|אבג "
    (line,) = lines_of(writer.block("says (אבג) and דהו, 1999", 20, width=900, lines=1))
    assert line == "says (|אבג|) and |דהו, 1999"


def test_digits_before_letters_are_one_word_with_them() -> None:
    (line,) = lines_of(Writer(Faces(())).block("אבג 35mm", 20, width=900, lines=1))
    assert line == "35mm|אבג "


def test_runs_from_right_to_left_in_several_fonts_are_seen_in_their_order() -> None:
    one, other = BUNDLED, Path("other.ttf")
    said, first, second = Run("says ", one, LTR), Run("אבג", one, RTL), Run("دهو", other, RTL)
    assert _seen([said, first, second], LTR) == [said, second, first]
    assert _seen([first, second, said], RTL) == [said, second, first]


def test_a_line_that_begins_from_right_to_left_stands_at_the_right() -> None:
    image = Image.new("RGB", (600, 40), "white")
    Writer(Faces(())).block(ARABIC, 20, width=600, lines=1).draw(ImageDraw.Draw(image), 0, 0, (0, 0, 0), room=600)
    left, _, right, _ = image.convert("L").point(lambda value: 255 - value).getbbox() or (0, 0, 0, 0)
    assert right > 590
    assert left > 300


def test_lines_break_between_words_and_the_last_one_tells_of_more() -> None:
    block = Writer(Faces(())).block("a heron over a misty lake at dawn, quite still", 20, width=160, lines=2)
    assert lines_of(block) == ["a heron over a", "misty lake at…"]
    whole = Writer(Faces(())).block("a heron over a misty lake", 20, width=160, lines=5)
    assert lines_of(whole) == ["a heron over a", "misty lake"]


def test_text_without_spaces_breaks_between_letters_but_not_before_a_full_stop() -> None:
    writer = Writer(Faces(()))
    one = writer.block("猫猫猫猫", 20, width=900, lines=1).width
    lines = lines_of(writer.block("猫猫猫猫。猫猫", 20, width=one + 2, lines=5))
    assert "".join(lines) == "猫猫猫猫。猫猫"
    assert not any(line.startswith("。") for line in lines)


def test_marks_and_joined_emoji_stay_with_what_they_hang_on() -> None:
    for text in ("é" * 30, "क्षि" * 30):
        lines = lines_of(Writer(Faces(())).block(text, 20, width=100, lines=50))
        assert len(lines) > 1
        assert not any(line[0] in "\u0301\u094d\u093f" for line in lines)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=120),
    st.integers(8, 40),
    st.integers(60, 700),
    st.integers(1, 5),
)
def test_any_text_fits_the_room_it_is_given_and_can_be_drawn(text: str, px: int, width: int, lines: int) -> None:
    block = Writer(Faces(())).block(text, px, width=width, lines=lines)
    assert len(block.lines) <= lines
    assert block.width <= width
    picture(block)


def test_the_coverage_read_from_a_font_is_what_the_renderer_can_draw() -> None:
    """FreeType draws the same box for all that a font lacks."""
    font = ImageFont.truetype(BUNDLED, 24, layout_engine=ImageFont.Layout.BASIC)
    box = bytes(font.getmask("\U0010ffff"))
    has = coverage(BUNDLED)
    chars = [chr(code) for code in (*range(0x21, 0x2800), *range(0x1F000, 0x1F800))]
    visible = [char for char in chars if unicodedata.category(char)[0] not in "CZM"]
    assert len(visible) > 8_000
    assert not [char for char in visible if (char in has) == (bytes(font.getmask(char)) == box)]


@given(st.binary(max_size=400))
def test_a_damaged_font_file_has_nothing(content: bytes) -> None:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "batcher-damaged.ttf"
    for beginning in (b"", b"\x00\x01\x00\x00", b"OTTO\x00\x01", b"ttcf\x00\x01\x00\x00\x00\x00\x00\x01"):
        path.write_bytes(beginning + content)
        assert "a" not in coverage(path)
    path.unlink()


def test_a_cut_font_file_has_nothing_or_what_it_says(tmp_path: Path) -> None:
    content = BUNDLED.read_bytes()
    for length in (5, 100, 400, 5_000, 100_000):
        (tmp_path / "cut.ttf").write_bytes(content[:length])
        assert "三" not in coverage(tmp_path / "cut.ttf")


def test_a_font_that_cannot_be_opened_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = BUNDLED.read_bytes()
    damaged = tmp_path / "damaged.ttf"
    damaged.write_bytes(content.replace(b"\x5f\x0f\x3c\xf5", b"\0\0\0\0").replace(b"head", b"daeh", 1))
    assert "a" in coverage(damaged)
    monkeypatch.setattr("batcher.export.sheets.faces.BUNDLED", damaged)
    assert Faces(()).of("a") is None
    assert Faces((BUNDLED,)).of("a") == BUNDLED


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 50)), max_size=30), st.integers(0, 3_100))
def test_a_coverage_is_the_set_of_its_ranges(ranges: list[tuple[int, int]], code: int) -> None:
    made = Coverage((start, start + more) for start, more in ranges)
    assert (chr(code) in made) == any(start <= code <= start + more for start, more in ranges)
