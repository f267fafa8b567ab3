"""Names for pictures: readable, stable, safe in bytes on every system, and never able to leave their folder.

A name is made from text that strangers wrote (prompts, ids, columns of a prompt file), and it has to live on
file systems that disagree: ext4 counts 255 bytes, NTFS forbids nine characters, the names of devices and a dot
at the end, APFS and NTFS take ``A`` and ``a`` for one name, and macOS takes ``é`` in one and in two code points
for one name. So everything goes through one gate, ``safe_part``, *after* it has been put together: a value can
not add a folder, because a ``/`` in a value is an ordinary bad character by then.

Shortening is where names collide, so whatever is cut gets digits of a hash of the whole. What still collides
(``A`` and ``a``, an id used twice) is found by comparing ``fold`` numbers, and mended by ``with_key``.

Readers matter too: the Hugging Face ``datasets`` library takes a word such as ``train`` or ``test`` anywhere in a
file name for the name of a split, and silently drops the other files. Names made here avoid those words.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NoReturn

from batcher.job import canonical_json

PART_BYTES = 180  # of 255: leaves room for a key, an index, an extension and a temp name
PATH_BYTES = 700  # of 1,024 on macOS and 4,096 on Linux, so that a run directory fits before it
MOST_PARTS = 16

_SLUG_BYTES = 40
_VALUE_BYTES = 80
_WIDEST_SPEC = 120
_HASH_DIGITS = 8

_SPLIT_WORDS = "training|train|validation|valid|dev|val|testing|test|evaluation|eval"
_SPLIT_WORD = re.compile(rf"(?:^|(?<=[-0-9]))(?:{_SPLIT_WORDS})(?=[-0-9]|$)")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_RATIO = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
# What Windows forbids, all controls, line and paragraph separators, text direction marks, halves of surrogate pairs.
_BAD = re.compile(r'[\x00-\x1f<>:"/\\|?*\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
_EXTENSIONS = (".json", ".jsonl", ".part", ".png", ".jpg", ".webp", ".gif", ".avif", ".mp4", ".webm", ".mp3", ".wav")


def prompt_id(prompt: str) -> str:
    """The name a prompt goes by when the manifest gives it none: words of it, and 8 digits of its hash."""
    digits = _hash(prompt)
    slug = _slug(prompt)
    return f"{slug}-{digits}" if slug else digits


def short(value: Any) -> str:
    """A value as it stands in a file name: ``16:9`` becomes ``16x9``; long text becomes its first words and a hash."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python refuses to print integers of thousands of digits, and nobody wants them in a name.
        return str(value) if value.bit_length() <= 128 else _hash(hex(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return _short_text(value if isinstance(value, str) else _text(value))


def safe_part(text: str, *, limit: int = 120) -> str:
    """``text`` as one part of a path that every system takes, at most ``limit`` UTF-8 bytes, never empty.

    Text that is safe already comes back as it is, so doing it twice is doing it once.
    """
    if len(text) <= limit and _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    name = _BAD.sub("-", unicodedata.normalize("NFC", text)).lstrip(". ").rstrip(". ")
    base, dot, rest = name.partition(".")
    if base.rstrip(" ").lower() in _RESERVED:
        name = f"{base}_{dot}{rest}"
    if len(name.encode()) > limit:
        digits = _hash(text)[:limit]
        kept = _cut(name, limit - len(digits) - 1).rstrip(". ")
        name = f"{kept}-{digits}" if kept else digits
    return name or "_"


def with_key(path: str, key: str) -> str:
    """The name a job gets when its own is taken: ``path`` and the first 10 digits of the job's key."""
    return f"{path}_{key[:10]}"


def numbered(path: str, index: int, count: int) -> str:
    """The name of file ``index`` (from 0) of ``count`` that one job gave: ``path``, or ``path_1``, ``path_2``, ..."""
    return path if count == 1 else f"{path}_{index + 1}"


def fold(path: str) -> int:
    """A signed 64-bit number that two names share when some system takes them for one name."""
    if path.isascii():
        folded = path.lower()
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
    return int.from_bytes(blake2b(_bytes(folded), digest_size=8).digest(), "big", signed=True)


class TemplateError(ValueError):
    """A template that can't be used. ``column`` counts from 1, in the text of the template."""

    def __init__(self, column: int, what: str, mend: str) -> None:
        super().__init__(f"column {column}: {what}: {mend}")
        self.column = column
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    spec: str
    column: int


class Template:
    """Where a job's picture goes, relative to the folder of images: ``{prompt_id}/{aspect_ratio}_s{seed}``.

    ``{name}`` stands for a value, ``{name:spec}`` for a value put through Python's format specification
    (``{seed:04d}``), ``{meta.category}`` for a value carried along; ``{{`` and ``}}`` are braces.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parse(text)
        self.levels = tuple(  # the fields of each part of the path
            frozenset(piece.name for piece in part if isinstance(piece, _Field)) for part in self._parts
        )
        self.fields = frozenset[str]().union(*self.levels)

    def render(self, values: Mapping[str, Any]) -> str:
        """The path, without extension. A value that is None or absent reads ``default``.

        ``{meta.x}`` is looked up as ``values["meta"]["x"]``. Raises TemplateError when a format specification does
        not fit its value.
        """
        raw = ["".join(_piece(piece, values) for piece in part) for part in self._parts]
        parts = _safe_parts(raw, PART_BYTES)
        if sum(len(part.encode()) + 1 for part in parts) > PATH_BYTES:
            parts = _safe_parts(raw, PATH_BYTES // len(raw) - 1)
        return "/".join(parts)


def _safe_parts(raw: list[str], limit: int) -> list[str]:
    parts = [safe_part(part, limit=limit) for part in raw]
    for at, folder in enumerate(parts[:-1]):
        # A folder called x.png would stand where the picture of a job called x has to go.
        if folder.lower().endswith(_EXTENSIONS):
            stem, _, extension = folder.rpartition(".")
            parts[at] = f"{stem}-{extension}"
    return parts


def _piece(piece: str | _Field, values: Mapping[str, Any]) -> str:
    if isinstance(piece, str):
        return piece
    value = _look_up(piece.name, values)
    if value is None:
        return "default"
    if piece.spec:
        return _short_text(_formatted(piece, value))
    if piece.name == "prompt_id":
        return safe_part(str(value))
    return safe_part(short(value))


def _look_up(name: str, values: Mapping[str, Any]) -> Any:
    if not name.startswith("meta."):
        return values.get(name)
    meta = values.get("meta")
    return meta.get(name.removeprefix("meta.")) if isinstance(meta, Mapping) else None


def _formatted(field: _Field, value: Any) -> str:
    if isinstance(value, str):
        value = _RATIO.sub(r"\1x\2", value) if _RATIO.fullmatch(value) else value
    elif not isinstance(value, int | float):
        value = _text(value)
    try:
        return format(value, field.spec)
    except (ValueError, TypeError, OverflowError):
        what = f"the format {_cut(repr(field.spec), 60)} does not fit {_cut(field.name, 60)} = {_cut(repr(value), 60)}"
        raise TemplateError(field.column, what, f"write {{{field.name}}}, or a format for that kind of value") from None


def _parse(text: str) -> list[list[str | _Field]]:
    """The parts of the path, each a list of literal text and fields."""
    if text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise TemplateError(1, "an absolute path", "name a place inside the folder of images")
    parts: list[list[str | _Field]] = [[]]
    at = 0
    while at < len(text):
        char = text[at]
        if char == "/":
            _close_part(parts[-1], at)
            parts.append([])
            at += 1
        elif text.startswith(("{{", "}}"), at):
            parts[-1].append(char)
            at += 2
        elif char == "{":
            field, at = _parse_field(text, at)
            parts[-1].append(field)
        else:
            _refuse_literal(char, at)
            parts[-1].append(char)
            at += 1
    _close_part(parts[-1], len(text))
    if len(parts) > MOST_PARTS:
        raise TemplateError(1, f"{len(parts)} folders deep", f"use at most {MOST_PARTS} parts")
    return parts


def _close_part(part: list[str | _Field], end: int) -> None:
    if not part:
        raise TemplateError(end + 1, "an empty part", "put a name before and after every '/'")
    if all(isinstance(piece, str) for piece in part) and "".join(map(str, part)).strip() in {"", ".", ".."}:
        raise TemplateError(
            max(1, end - len(part) + 1), "a part that is no name", "'.' and '..' and blanks can't be folders"
        )


def _refuse_literal(char: str, at: int) -> None:
    if char == "}":
        raise TemplateError(at + 1, "a '}' without its '{'", "write '}}' for a brace in the name")
    if char == "\\":
        raise TemplateError(at + 1, "a backslash", "write '/' between folders, on every system")


def _parse_field(text: str, start: int) -> tuple[_Field, int]:
    """The field that opens at ``start``, and where the text goes on after it."""
    column = start + 1
    end = text.find("}", start)
    inner = text[start + 1 : end]
    if end < 0 or "{" in inner:
        raise TemplateError(column, "a '{' without its '}'", "close the field, or write '{{' for a brace")
    name, _, spec = inner.partition(":")
    if not name.strip():
        raise TemplateError(column, "a field without a name", "write {prompt_id}, {seed} or another input")
    if not re.fullmatch(r"[A-Za-z_][\w-]*|meta\.[^.!\[\]/\\]+", name):
        _refuse_name(column, name)
    widths = [int(digits) for digits in re.findall(r"[0-9]{1,9}", spec)]
    if max(widths, default=0) > _WIDEST_SPEC:
        raise TemplateError(column, f"the format {_cut(repr(spec), 60)} is too wide", f"use at most {_WIDEST_SPEC}")
    return _Field(name, spec, column), end + 1


def _refuse_name(column: int, name: str) -> NoReturn:
    if re.search(r"[!.\[]", name):
        what = f"{{{_cut(name, 40)!r}}} asks for more than a name"
        raise TemplateError(column, what, "use {name}, {name:04d} or {meta.column}; no '!', '[' or other '.'")
    raise TemplateError(column, f"{_cut(name, 40)!r} is not a field name", "use letters, digits and '_'")


def _short_text(text: str) -> str:
    if _RATIO.fullmatch(text):
        return text.replace(":", "x")
    if len(_bytes(text)) <= _VALUE_BYTES:
        return safe_part(text)
    return prompt_id(text)


def _slug(text: str) -> str:
    """Words of ``text``, lower case, joined by ``-``, at most 40 bytes, without the names of dataset splits."""
    # Far more of the text than can be needed, so that a prompt of 100 KB costs what a short one does.
    words = _without_split_words(_letters(text[:400]))
    return _without_split_words(_cut(words, _SLUG_BYTES))  # again: cutting "trainer" may leave "train"


def _letters(text: str) -> str:
    """Letters with their marks and digits of every script, lower case; everything else is ``-``."""
    if text.isascii():
        return re.sub("[^a-z0-9]+", "-", text.lower())
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return "".join(char if unicodedata.category(char)[0] in "LM" or char.isdecimal() else "-" for char in lower)


def _without_split_words(text: str) -> str:
    words = _SPLIT_WORD.sub("-", text).split("-")
    if text.isascii():
        return "-".join(word for word in words if word)
    # A word can't begin with a mark that belongs to the letter before it.
    whole = (_without_leading_marks(word) for word in words)
    return "-".join(word for word in whole if word)


def _without_leading_marks(word: str) -> str:
    at = 0
    while at < len(word) and unicodedata.category(word[at])[0] == "M":
        at += 1
    return word[at:]


def _cut(text: str, limit: int) -> str:
    """The longest beginning of ``text`` of at most ``limit`` UTF-8 bytes that ends with a whole character."""
    return _bytes(text)[: max(0, limit)].decode(errors="ignore")


def _text(value: Any) -> str:
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        return repr(value)  # a date, say


def _hash(text: str) -> str:
    return blake2b(_bytes(text), digest_size=_HASH_DIGITS // 2).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
