"""What sd-parsers and sd-prompt-reader give back, on files as they lie on the disk; and the check that asks them."""

import io
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import piexif.helper  # type: ignore[import-untyped]  # has no stubs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from batcher.images.embed import embed
from batcher.images.embed.infotext import Infotext, as_read, of
from tests.support import embedded as checking
from tests.support.embedded import check_infotext, parse, read_infotext
from tests.support.pictures import BARE, RECORD, png_chunk, record

SD_PARSERS = f"sd-parsers {version('sd-parsers')}"
ALL_FORMS = ["png", "png palette", "jpeg", "jpeg exif", "webp", "webp lossless", "webp icc", "webp exif"]
PROMPTS = [
    "A heron over a lake",
    "She said: \"Steps: 20, Sampler: Euler\", and 'left'",
    "one\n\ntwo\nthree, with: everything; (in:1.2) [it] {a|b} $x\\",
    "Negative prompt: not one",
    "a\nNegative prompt: b\nNegative prompt: c",
    "first\nSteps: 20, Sampler: Euler a, Seed: 1, CFG scale: 7",
    "Steps: 20, Sampler: Euler a, Seed: 1, CFG scale: 7",
    "\n  white space around \t\r\n",
    "carriage\rreturns\r\nof both kinds",
    '{"a": "prompt in JSON"}',
    "sui_image_params",
    "鷺と湖、夜明け",
    "مالك الحزين فوق بحيرة",
    "🦢 over a 🏞️, family 👩‍👩‍👧, 🏳️‍🌈",
    "Zażółć gęślą jaźń — « été » ½ €",
    "x" * 5000,
    "",
]


BLANK = Image.new("1", (1, 1))
BLANK.format = "JPEG"


def sd_parsers(content: bytes) -> Any:
    """It remembers a comment by the id of its image; this one's is not that of one that is there for good."""
    manager = ParserManager()
    manager.parse(BLANK)
    return manager.parse(io.BytesIO(content))


def sd_prompt_reader(content: bytes) -> Any:
    module = pytest.importorskip(
        "sd_prompt_reader.image_data_reader", reason="pip install --no-deps sd-prompt-reader==1.3.5"
    )
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # its way of logging
        return module.ImageDataReader(io.BytesIO(content))


def swapped_bytes_decode(content: bytes) -> bool:
    """Whether a comment passes the test decode, bytes swapped, that sd-prompt-reader does first."""
    try:
        (read_infotext(content) or "").encode("utf-16-be").decode("utf-16-le")
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", ALL_FORMS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_sd_parsers_reads_everything_back(name: str, prompt: str) -> None:
    fields = record(prompt=prompt, negative_prompt="text, watermark", seed=7, aspect_ratio="4:3", style="oil, or: ink")
    parsed = sd_parsers(embed(BARE[name], fields, {"infotext"}))
    assert (parsed.full_prompt, parsed.full_negative_prompt) == (as_read(prompt), "text, watermark")
    assert parsed.samplers[0].parameters == {"seed": "7", "steps": "0"}
    assert parsed.samplers[0].model.name == RECORD["model"]
    expected = {"Size": "24x16", "Aspect ratio": "4/3", "Style": "oil; or- ink", "Version": "batcher 0.1.0"}
    assert parsed.metadata == expected | {"Job": RECORD["job"]}


@pytest.mark.parametrize("name", ALL_FORMS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_sd_prompt_reader_reads_everything_back(name: str, prompt: str) -> None:
    content = embed(BARE[name], record(prompt=prompt, negative_prompt="text, watermark", seed=7), {"infotext"})
    if not name.startswith("png") and not swapped_bytes_decode(content):
        pytest.skip("it can't read these letters in EXIF, whoever wrote them")
    parsed = sd_prompt_reader(content)
    assert parsed.status.name == "READ_SUCCESS"
    assert parsed.tool == "A1111 webUI"
    assert (parsed.positive, parsed.negative) == (as_read(prompt), "text, watermark")
    assert parsed.parameter["seed"] == "7"
    assert parsed.parameter["model"] == RECORD["model"]
    assert (parsed.width, parsed.height) == ("24", "16")


def test_what_readers_need_is_there_without_seed_and_negative_prompt() -> None:
    content = embed(BARE["png"], record(prompt="only this"), {"infotext"})
    assert sd_parsers(content).full_prompt == "only this"
    assert sd_parsers(content).full_negative_prompt == ""
    assert (sd_prompt_reader(content).positive, sd_prompt_reader(content).negative) == ("only this", "")


def test_what_a_model_was_told_about_its_sampler_is_said_in_the_readers_words() -> None:
    fields = record(prompt="p", seed=0, num_inference_steps=28, guidance_scale=3.5, sampler="Euler", steps_extra=1)
    parsed = sd_parsers(embed(BARE["jpeg"], fields, {"infotext"}))
    assert parsed.samplers[0].name == "Euler"
    assert parsed.samplers[0].parameters == {"seed": "0", "steps": "28", "cfg_scale": "3.5"}


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from(ALL_FORMS),
    prompt=st.text(max_size=80),
    negative=st.text(max_size=40),
    extra=st.dictionaries(st.text(max_size=12), st.text(max_size=30) | st.integers() | st.booleans(), max_size=3),
)
def test_both_readers_give_any_text_back(name: str, prompt: str, negative: str, extra: dict[str, Any]) -> None:
    fields = record(**{**extra, "prompt": prompt, "negative_prompt": negative, "seed": 2**63})
    content = embed(BARE[name], fields, {"infotext"})
    parsed = sd_parsers(content)
    assert (parsed.full_prompt, parsed.full_negative_prompt) == (as_read(prompt), as_read(negative))
    assert parsed.samplers[0].parameters["seed"] == str(2**63)
    assume(name.startswith("png") or swapped_bytes_decode(content))
    other = sd_prompt_reader(content)
    assert (other.positive, other.negative) == (as_read(prompt), as_read(negative))


@given(prompt=st.text(), negative=st.text())
def test_our_own_reading_is_the_inverse_of_our_writing(prompt: str, negative: str) -> None:
    written = of(record(prompt=prompt, negative_prompt=negative, seed=1))
    assert parse(written.text()) == written
    assert as_read(written.prompt) == written.prompt


@given(prompt=st.from_regex(r"[ -~]+", fullmatch=True))
def test_a_prompt_without_dividing_words_is_given_back_as_it_is(prompt: str) -> None:
    assume(not re.search("Negative prompt:|sui_image_params", prompt))
    assert as_read(prompt) == prompt.strip()


@settings(deadline=None)
@given(text=st.text(max_size=500))
def test_our_own_reading_survives_any_text(text: str) -> None:
    assert isinstance(parse(text), Infotext)


# --- check_infotext


def files(tmp_path: Path, fields: dict[str, Any], *names: str) -> list[Path]:
    paths = []
    for name in names:
        path = tmp_path / name
        path.write_bytes(embed(BARE[name], fields, {"infotext"}))
        paths.append(path)
    return paths


def test_the_check_counts_what_each_reader_read(tmp_path: Path) -> None:
    check = check_infotext(files(tmp_path, RECORD, *ALL_FORMS), [RECORD] * len(ALL_FORMS))
    assert (check.files, check.findings, check.wrong, check.out_of_reach) == (len(ALL_FORMS), [], 0, 0)
    assert check.readers["batcher"] == check.readers[SD_PARSERS] == len(ALL_FORMS)
    assert set(check.readers.values()) == {len(ALL_FORMS)}
    assert len(check.readers) + len(check.missing) == 3


def test_the_check_names_the_file_the_reader_and_the_difference(tmp_path: Path) -> None:
    (path,) = files(tmp_path, RECORD, "png")
    check = check_infotext([path], [RECORD | {"inputs": RECORD["inputs"] | {"seed": 8}}])
    assert check.findings[0] == "png: batcher: Seed is '7', not '8'"
    assert check.wrong == len(check.readers)
    other = check_infotext([path], [RECORD | {"inputs": RECORD["inputs"] | {"prompt": "A cat"}}])
    assert "prompt is 'A heron over a lake', not 'A cat'" in other.findings[0]


def test_the_check_finds_files_without_infotext_damaged_ones_and_missing_ones(tmp_path: Path) -> None:
    bare, damaged = tmp_path / "bare.png", tmp_path / "damaged.jpg"
    bare.write_bytes(BARE["png"])
    damaged.write_bytes(BARE["jpeg"][:-50])
    check = check_infotext([bare, damaged, tmp_path / "gone.png"], [RECORD] * 3)
    text = "\n".join(check.findings)
    assert "bare.png: batcher: no infotext" in text
    assert f"bare.png: {SD_PARSERS}: no infotext" in text
    assert "damaged.jpg: batcher: no infotext" in text
    assert "gone.png: batcher: No such file" in text
    assert check.files == 3
    assert set(check.readers.values()) == {0}


def test_a_comment_of_one_file_is_never_taken_for_that_of_the_next(tmp_path: Path) -> None:
    """sd-parsers remembers a comment by the id of its image, and ids come again."""
    records = [record(prompt=f"number {at}", seed=at) for at in range(40)]
    paths = []
    for at, fields in enumerate(records):
        paths.append(tmp_path / str(at))
        paths[-1].write_bytes(embed(BARE[("jpeg", "png", "png", "webp", "png")[at % 5]], fields, {"infotext"}))
    check = check_infotext(paths, records)
    assert check.findings == []
    assert check.readers[SD_PARSERS] == 40
    read = checking._sd_parsers()
    comments = [read(embed(BARE["jpeg"], fields, {"infotext"})) for fields in records]
    assert [one and one.prompt for one in comments] == [fields["inputs"]["prompt"] for fields in records]


@pytest.mark.parametrize(
    ("name", "prompt"), [("webp lossless alpha", "A heron"), ("jpeg progressive", "A heron"), ("jpeg", "Übung")]
)
def test_what_a_reader_can_read_from_nobody_is_told_apart(tmp_path: Path, name: str, prompt: str) -> None:
    fields = record(prompt=prompt, seed=1)
    parsed = sd_prompt_reader(embed(BARE[name], fields, {"infotext"}))
    assert parsed.status.name != "READ_SUCCESS"
    check = check_infotext(files(tmp_path, fields, name), [fields])
    assert (check.findings, check.out_of_reach) == ([], 1)


def test_that_reader_fails_on_the_same_letters_in_a_file_that_it_wrote_itself(tmp_path: Path) -> None:
    module = pytest.importorskip("sd_prompt_reader.image_data_reader")
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    source.write_bytes(BARE["jpeg"])
    module.ImageDataReader.save_image(source, target, "JPEG", "Übung\nSteps: 1, Sampler: x, Seed: 1, Size: 24x16")
    assert module.ImageDataReader(target).status.name == "FORMAT_ERROR"


def test_findings_are_bounded_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "bare.png"
    path.write_bytes(BARE["png"])
    check = check_infotext([path] * 150, [RECORD] * 150)
    assert len(check.findings) == 100
    assert check.wrong >= 150


def test_a_reader_that_falls_over_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "three.png"
    text = b"a\nNegative prompt: b\nNegative prompt: c\nSteps: 1, Sampler: x, Seed: 1"
    path.write_bytes(BARE["png"][:33] + png_chunk(b"tEXt", b"parameters\0" + text) + BARE["png"][33:])
    with pytest.raises(ValueError, match="unpack"):
        sd_parsers(path.read_bytes())
    check = check_infotext([path], [RECORD])
    assert any(f"{SD_PARSERS}: ValueError" in finding for finding in check.findings)


def test_the_comment_is_where_piexif_looks_and_in_utf_16() -> None:
    exif = piexif.load(embed(BARE["jpeg exif"], RECORD, {"infotext"}))
    assert piexif.helper.UserComment.load(exif["Exif"][piexif.ExifIFD.UserComment]) == of(RECORD).text()
    assert exif["Exif"][piexif.ExifIFD.DateTimeOriginal] == b"2026:11:22 03:00:00"
    assert exif["GPS"][piexif.GPSIFD.GPSLatitudeRef] == b"N"
