"""What the programs that people open such pictures with find in them, compared with the sidecars.

Three readers: our own, which is always there and looks into the file as it lies on the disk, and two others where they
are installed. ``sd-prompt-reader`` pins old versions of other packages and brings a window toolkit; its reading part
needs neither: ``pip install --no-deps sd-prompt-reader piexif``.

What that one can't find though it is there, whoever wrote it, is no fault of the file and is told apart: it looks at
no EXIF in a WebP with transparency or in a JPEG with a comment, and it first decodes a comment with its bytes swapped,
which some letters don't survive (U+00DC, say: every character whose code ends in D8 to DF).
"""

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from batcher.core.one_line import one_line
from batcher.images.embed.infotext import Infotext, of
from batcher.images.embed.splice import NotEmbedded

MOST_FINDINGS = 100
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_OUT_OF_REACH = "it can't read this one, whoever wrote it"

Reader = Callable[[bytes], Infotext | None]


@dataclass(slots=True)
class InfotextCheck:
    """The outcome.

    readers: by name and version, how many files each read as the sidecars say. missing: readers not installed.
    findings: ``file: reader: what is wrong``, the first MOST_FINDINGS of ``wrong``. out_of_reach: how many readings
    failed for the reader's own sake.
    """

    files: int = 0
    readers: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    wrong: int = 0
    out_of_reach: int = 0


def check_infotext(files: Iterable[Path], records: Iterable[Mapping[str, Any]]) -> InfotextCheck:
    """Reads each file with every reader there is and compares with its sidecar, the one at the same place in
    ``records``. A file that can't be read is a finding. Takes the memory of two files.
    """
    check = InfotextCheck()
    readers = _readers(check)
    for file, record in zip(files, records, strict=True):
        check.files += 1
        _check(check, readers, file, of(record))
    return check


def _check(check: InfotextCheck, readers: Mapping[str, Reader], file: Path, expected: Infotext) -> None:
    try:
        content = file.read_bytes()
    except OSError as error:
        _find(check, file, "batcher", error.strerror or "it can't be read")
        return
    for name, read in readers.items():
        problem = _problem(read, content, expected)
        if problem is None:
            check.readers[name] += 1
        elif problem == _OUT_OF_REACH:
            check.out_of_reach += 1
        else:
            _find(check, file, name, problem)


def _problem(read: Reader, content: bytes, expected: Infotext) -> str | None:
    try:
        record = read(content)
    except NotEmbedded as refusal:
        return str(refusal)
    except Exception as error:  # noqa: BLE001  other people's parsers, on files from outside
        return f"{type(error).__name__}: {error}"
    if record is None:
        return "no infotext"
    pairs = [("prompt", expected.prompt, record.prompt), ("negative prompt", expected.negative, record.negative)]
    pairs += [
        (key, expected.settings[key], value) for key, value in record.settings.items() if key in expected.settings
    ]
    return next((f"{name} is {got[:80]!r}, not {want[:80]!r}" for name, want, got in pairs if want != got), None)


def _find(check: InfotextCheck, file: Path, reader: str, what: str) -> None:
    check.wrong += 1
    if len(check.findings) < MOST_FINDINGS:
        check.findings.append(one_line(f"{file.name}: {reader}: {what}"))


def _readers(check: InfotextCheck) -> dict[str, Reader]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  it takes longer than all of this

    readers: dict[str, Reader] = {"batcher": _own}
    for package, make in (("sd-parsers", _sd_parsers), ("sd-prompt-reader", _sd_prompt_reader)):
        try:
            readers[f"{package} {version(package)}"] = make()
        except (PackageNotFoundError, ImportError):
            check.missing.append(package)
    check.readers = dict.fromkeys(readers, 0)
    return readers


def read_infotext(content: bytes) -> str | None:
    """As Pillow finds it, whoever wrote it."""
    with Image.open(BytesIO(content)) as image:
        if image.format == "PNG":
            text = image.info.get("parameters")
            return None if text is None else str(text)
        comment = bytes(image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT, b""))
    return comment[8:].decode("utf-16-be", "replace") if comment.startswith(b"UNICODE\0") else None


def parse(text: str) -> Infotext:
    head, _, last = text.rpartition("\n")
    prompt, _, negative = f"\n{head}".partition("\nNegative prompt:")
    pairs = (pair.partition(":") for pair in last.split(","))
    return Infotext(prompt.strip(), negative.strip(), {key.strip(): value.strip() for key, _, value in pairs})


def _own(content: bytes) -> Infotext | None:
    text = read_infotext(content)
    return None if text is None else parse(text)


def _sd_parsers() -> Reader:
    manager = importlib.import_module("sd_parsers").ParserManager()
    blank = Image.new("1", (1, 1))
    blank.format = "JPEG"

    def read(content: bytes) -> Infotext | None:
        # It remembers the last comment by the id of its image, and a new image may get the id of one that is gone. Not
        # that of one that is still here.
        manager.parse(blank)
        with Image.open(BytesIO(content)) as image:
            parsed = manager.parse(image)
        if parsed is None:
            return None
        sampler = parsed.samplers[0]
        names = {"seed": "Seed", "steps": "Steps", "cfg_scale": "CFG scale", "scheduler": "Schedule type"}
        settings = {names[key]: value for key, value in sampler.parameters.items() if key in names}
        settings |= {"Sampler": sampler.name, "Model": sampler.model.name} if sampler.model else {}
        return Infotext(parsed.full_prompt, parsed.full_negative_prompt, {**settings, **parsed.metadata})

    return read


def _sd_prompt_reader() -> Reader:
    reader = importlib.import_module("sd_prompt_reader.image_data_reader").ImageDataReader

    def read(content: bytes) -> Infotext | None:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # its way of logging
            parsed = reader(BytesIO(content))
        if parsed.status.name != "READ_SUCCESS":
            raise NotEmbedded(_OUT_OF_REACH) if _out_of_its_reach(content) else NotEmbedded("no infotext")
        names = {"model": "Model", "sampler": "Sampler", "seed": "Seed", "cfg": "CFG scale", "steps": "Steps"}
        settings = {names[key]: value for key, value in parsed.parameter.items() if key in names and value is not None}
        return Infotext(parsed.positive, parsed.negative, {**settings, "Size": f"{parsed.width}x{parsed.height}"})

    return read


def _out_of_its_reach(content: bytes) -> bool:
    with Image.open(BytesIO(content)) as image:
        if image.format == "PNG":
            return False
        if image.mode == "RGBA" or "comment" in image.info:
            return True
    try:
        (read_infotext(content) or "").encode("utf-16-be").decode("utf-16")
    except UnicodeDecodeError:
        return True
    return False
