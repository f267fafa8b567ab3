"""What Unicode says of characters that stand in a line: what hangs together, where it runs to, where it may be broken.

Direction: two levels of the Unicode bidirectional algorithm, UAX 9, with its rules N1 and N2 for what has no direction
itself. Breaks: at spaces, and between any two letters of scripts that write without them, though not before closing
punctuation.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

LTR, RTL = "ltr", "rtl"

_JOINER = "\u200d"
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))  # Thai, Lao, Burmese, Khmer
_CLOSING = frozenset({"Pe", "Pf", "Po"})


def script(char: str) -> str:
    """What a person calls the letters that this one is of: ``Devanagari``, ``CJK``, ``emoji``."""
    if ord(char) >= 0x1F000 and unicodedata.category(char) in {"So", "Sk"}:
        return "emoji"
    word = unicodedata.name(char, f"U+{ord(char):04X}").split()[0]
    return word if word == "CJK" or word.startswith("U+") else word.title()


def parts_of(text: str) -> Iterator[str]:
    """Characters with what hangs on them: marks, what a joiner joins, skin tones."""
    part = ""
    for char in text:
        hangs = unicodedata.category(char)[0] == "M" or char == _JOINER or "\U0001f3fb" <= char <= "\U0001f3ff"
        if part and (hangs or part[-1] == _JOINER):
            part += char
            continue
        if part:
            yield part
        part = char
    if part:
        yield part


def base_direction(text: str) -> str:
    """That of the first letter that has one."""
    strong = (unicodedata.bidirectional(char) for char in text)
    return next((RTL if kind in {"R", "AL"} else LTR for kind in strong if kind in {"R", "AL", "L"}), LTR)


def directions_of(chars: Sequence[str], base: str) -> list[str]:
    found: list[str | None] = []
    strong = base
    for char in chars:
        kind = unicodedata.bidirectional(char)
        if kind in {"L", "R", "AL"}:
            strong = LTR if kind == "L" else RTL
            found.append(strong)
        else:  # digits go with the letters before them; a run from right to left keeps them readable
            found.append({"EN": strong, "AN": RTL}.get(kind))
    for at in range(len(chars) - 2, -1, -1):  # but 35mm is one word
        if found[at + 1] == LTR and unicodedata.bidirectional(chars[at]) == "EN":
            found[at] = LTR
    result: list[str] = []
    for neutral, group in groupby(range(len(found)), key=lambda at: found[at] is None):
        places = list(group)
        if neutral:
            before = found[places[0] - 1] if places[0] else base
            after = found[places[-1] + 1] if places[-1] + 1 < len(found) else base
            result += [before if before is not None and before == after else base] * len(places)
        else:
            result += [found[at] or base for at in places]
    return result


def may_break(before: str, char: str) -> bool:
    if char == " " or unicodedata.category(char) in _CLOSING:
        return False
    return before in " -" or _stands_alone(before) or _stands_alone(char)


def _stands_alone(char: str) -> bool:
    code = ord(char)
    if code < 0x0E00:
        return False
    return unicodedata.east_asian_width(char) in "WF" or any(first <= code <= last for first, last in _UNSPACED)


def language_of(text: str) -> str | None:
    """Whose way of drawing ideographs is meant: kana tells Japanese, hangul Korean, ideographs alone Chinese."""
    if re.search("[\u3040-\u30ff]", text):
        return "ja"
    if re.search("[\u1100-\u11ff\uac00-\ud7af]", text):
        return "ko"
    return "zh-Hans" if re.search("[\u3400-\u9fff]", text) else None
