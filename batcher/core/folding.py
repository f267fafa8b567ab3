"""Text for a terminal: its width in columns, and how to cut or fold it. Pure."""

import re
from unicodedata import category, east_asian_width

WIDTH = 80
_QUOTED_COMMAND = re.compile(r"`[^`]*`")
_HELD = "\ue000"  # stands for a space at which a line must not end


def folded(line: str, width: int = WIDTH) -> list[str]:
    """The line as lines of at most ``width`` columns. Paths and commands stay whole, so that they can be copied."""
    if columns(line) <= width or line.lstrip().startswith("batcher "):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    words = _QUOTED_COMMAND.sub(lambda match: match[0].replace(" ", _HELD), line).split()
    lines = [indent + words[0]]
    for word in words[1:]:
        if columns(lines[-1]) + 1 + columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}  {word}")
    return [part.replace(_HELD, " ") for part in lines]


def cut(text: str, most: int) -> str:
    """The text in at most ``most`` columns, with an ellipsis if it is cut."""
    if columns(text) <= most:
        return text
    while columns(text) > most - 1:
        text = text[: min(most, len(text) - 1)]
    return f"{text}…"


def columns(text: str) -> int:
    """Width on a terminal: ideographs and most emoji take two columns, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if category(one) in {"Mn", "Me", "Cf"} else 1 + (east_asian_width(one) in "WF") for one in text)
