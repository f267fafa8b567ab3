"""Text in all scripts: which font, which order, which lines, and no box that nobody is told of."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, features

from batcher.export.sheets import faces
from batcher.export.sheets.faces import BUNDLED, Faces, machine, script
from batcher.export.sheets.text import Block, Writer

LANGUAGES = {
    "Chinese": "三只猫坐在湖边的石头上，看着远处的山。",
    "Japanese": "夕暮れの湖の上を飛ぶ一羽の鷺",
    "Korean": "안개 낀 호수 위를 나는 왜가리",
    "Devanagari": "धुंध भरी झील के ऊपर एक बगुला",
    "Thai": "นกกระสาบินเหนือทะเลสาบที่มีหมอก",
}
ARABIC = "طائر مالك الحزين"


def lines_of(block: Block) -> list[str]:
    return list(block.lines)


def picture(block: Block) -> Image.Image:
    image = Image.new("RGB", (block.room + 40, block.height + 20), "white")
    block.draw(ImageDraw.Draw(image), 20, 10, (0, 0, 0))
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


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow was built without Raqm")
def test_a_line_from_right_to_left_is_turned_round_with_what_it_quotes_left_as_it_is() -> None:
    """The same pixels as its parts one by one, drawn from right to left."""
    writer = Writer(Faces(()))
    whole = picture(writer.block("אבג 35", 40, width=900, lines=1)).getbbox()
    assert whole is not None
    image = picture(writer.block("אבג 35", 40, width=900, lines=1)).point(lambda value: 255 - value)
    digits = picture(writer.block("35", 40, width=900, lines=1)).point(lambda value: 255 - value)
    left, top, right, bottom = digits.getbbox() or (0, 0, 0, 0)
    mark = digits.crop((left, top, right, bottom))
    seen = image.getbbox() or (0, 0, 0, 0)
    assert image.crop((seen[0], top, seen[0] + right - left, bottom)).tobytes() == mark.tobytes()  # at the left end


def test_a_line_that_begins_from_right_to_left_stands_at_the_right() -> None:
    image = Image.new("RGB", (600, 40), "white")
    Writer(Faces(())).block(ARABIC, 20, width=600, lines=1).draw(ImageDraw.Draw(image), 0, 0, (0, 0, 0))
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


def test_a_font_that_cannot_be_opened_is_passed_over(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.ttf"
    for content in (b"", b"OTTO", BUNDLED.read_bytes()[:5_000]):
        damaged.write_bytes(content)
        faces._opened.cache_clear()
        faces._drawn.cache_clear()
        faces._has.cache_clear()
        assert Faces((damaged, BUNDLED)).of("三x") == (BUNDLED, "三")


def test_a_text_in_two_scripts_takes_the_font_that_lacks_least_and_says_what() -> None:
    assert Faces(()).of("plain") == (BUNDLED, "")
    assert Faces(()).of("Ελληνικά 三") == (BUNDLED, "三")
