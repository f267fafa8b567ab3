"""Names of image files: readable, stable, valid on every system, and always inside their folder.

A name is made from untrusted text (prompts, ids, columns of a prompt file) and must work on file systems with different
rules: ext4 allows 255 bytes; NTFS forbids nine characters, names of devices and a dot at the end; APFS and NTFS treat
``A`` and ``a`` as one name; macOS treats ``é`` in one and in two code points as one name. So every part of a path goes
through ``safe_part`` *after* its values are filled in. A value can't add a folder, because a ``/`` in it is replaced
like any other bad character.

Shortened names could collide, so a shortened name ends with digits of a hash of the whole. Remaining collisions
(``A`` and ``a``, an id used twice) are detected by comparing ``folded`` names and resolved by ``with_key``.

The Hugging Face ``datasets`` library takes a word such as ``train`` or ``test`` anywhere in a
file name for the name of a split, and silently drops the other files. Names made here avoid those words.
"""

import re
import unicodedata
from hashlib import blake2b
from typing import Any

from batcher.core.job import canonical_json

PART_BYTES = 180  # of 255: leaves room for a key, an index, an extension and a temp name

_SLUG_BYTES = 40
_VALUE_BYTES = 80
_HASH_DIGITS = 8

_SPLIT_WORDS = "training|train|validation|valid|dev|val|testing|test|evaluation|eval"
_SPLIT_WORD = re.compile(rf"(?:^|(?<=[-0-9]))(?:{_SPLIT_WORDS})(?=[-0-9]|$)")
_TO_BLANKS = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
RATIO = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
# What Windows forbids, all controls, line and paragraph separators, text direction marks, halves of surrogate pairs.
_BAD = re.compile(r'[\x00-\x1f<>:"/\\|?*\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)


def prompt_id(prompt: str) -> str:
    """The id of a prompt without an ``id`` in the manifest: its first words and 8 digits of its hash."""
    digits = _hash(prompt)
    slug = _slug(prompt)
    return f"{slug}-{digits}" if slug else digits


def short(value: Any) -> str:
    """A value as part of a file name: ``16:9`` becomes ``16x9``; long text becomes its first words and a hash."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python refuses to print integers of thousands of digits.
        return str(value) if value.bit_length() <= 128 else _hash(hex(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return short_text(value if isinstance(value, str) else as_text(value))


def safe_part(text: str, *, limit: int = 120) -> str:
    """``text`` as one part of a path that every system takes, at most ``limit`` UTF-8 bytes, never empty.

    Idempotent: text that is safe already is returned unchanged.
    """
    if len(text) <= limit and _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    name = _BAD.sub("-", unicodedata.normalize("NFC", text)).lstrip(". ").rstrip(". ")
    base, dot, rest = name.partition(".")
    if base.rstrip(" ").lower() in _RESERVED:
        name = f"{base}_{dot}{rest}"
    if len(name.encode()) > limit:
        digits = _hash(text)[:limit]
        kept = cut(name, limit - len(digits) - 1).rstrip(". ")
        name = f"{kept}-{digits}" if kept else digits
    return name or "_"


def with_key(path: str, key: str) -> str:
    """The path of a job whose own path is taken: ``path`` and the first 10 digits of the job's key."""
    return f"{path}_{key[:10]}"


def numbered(path: str, index: int, count: int) -> str:
    """The path of file ``index`` (from 0) of the ``count`` files of a job: ``path``, or ``path_1``, ``path_2``, ..."""
    return path if count == 1 else f"{path}_{index + 1}"


def folded(path: str) -> str:
    """The name without letter case and composition: equal for names that some file system treats as one."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def short_text(text: str) -> str:
    """A formatted value as a part of a file name: ``16x9`` for a ratio, the prompt id for a text over 80 bytes."""
    if RATIO.fullmatch(text):
        return text.replace(":", "x")
    if len(_bytes(text)) <= _VALUE_BYTES:
        return safe_part(text)
    return prompt_id(text)


def _slug(text: str) -> str:
    """Words of ``text``, lower case, joined by ``-``, at most 40 bytes, without the names of dataset splits."""
    start = text[:400]  # more than is ever used, so that a prompt of 100 KB takes no more time than a short one
    is_ascii = start.isascii()
    words = b"-".join(start.encode().translate(_TO_BLANKS).split()).decode() if is_ascii else _letters(start)
    # Every split name contains one of these; most texts contain none.
    if not is_ascii or "train" in words or "val" in words or "dev" in words or "test" in words:
        words = _without_split_words(words)
        return _without_split_words(cut(words, _SLUG_BYTES))  # again: cutting "trainer" may leave "train"
    return words[:_SLUG_BYTES].strip("-")


def _letters(text: str) -> str:
    """Letters with their marks and digits of every script, lower case; everything else is ``-``."""
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


def cut(text: str, limit: int) -> str:
    """The longest beginning of ``text`` of at most ``limit`` UTF-8 bytes that ends with a whole character."""
    if text.isascii():
        return text[: max(0, limit)]
    return _bytes(text)[: max(0, limit)].decode(errors="ignore")


def as_text(value: Any) -> str:
    """Canonical JSON of a value; its ``repr`` if it is none (a date, say)."""
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        return repr(value)  # a date, say


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_HASH_DIGITS // 2).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
