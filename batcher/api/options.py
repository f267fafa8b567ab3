"""From Python values to the flags of ``run``: the same names, read by the same parsers.

Each option becomes the text of its flag. So a Python value and a command line can't mean different things, and the
command that is recorded for the resume can be typed.
"""

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar, get_args

from batcher.core.errors import UsageError
from batcher.core.settings import PARSERS, Given
from batcher.core.shard import parse_shard
from batcher.core.suggest import suggestion
from batcher.core.units import parse_count
from batcher.manifest import Overrides
from batcher.runner.service import Options
from batcher.store import connect_to_read, has_state, read_facts

T = TypeVar("T")
_SETTINGS = tuple(PARSERS)
_TEXTS = (
    "model", "format", "prompt_column", "prompt_input", "path", "limit", "shard", "repeat", "token_file", "base_url",
    "images", "media", "log", "metrics", "on_end",
)  # fmt: skip
_LISTS = ("set", "matrix", "meta", "trust_host")
_SWITCHES = ("dynamic", "cancel_on_interrupt", "simulate", "continue_copy")
_SECONDS = frozenset({"timeout", "deadline"})  # numbers of these are seconds
NAMES = (*_TEXTS, *_LISTS, *_SWITCHES, *(name for name in _SETTINGS if name not in _SWITCHES))


def texts_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as the texts of flags: a text, a list of texts, or True. None is left out. Raises UsageError."""
    texts: dict[str, Any] = {}
    for name, value in given.items():
        plain = name.removesuffix("_")  # set_, format_: names that hide no builtin
        if plain not in NAMES:
            raise UsageError(f"batcher has no option {name!r}", hint=f"{suggestion(plain, NAMES)}")
        if value is None:
            continue
        if plain in _SWITCHES:
            if not isinstance(value, bool):
                raise UsageError(f"{plain}={value!r}: it must be True or False")
            if value:
                texts[plain] = True
        elif plain in _LISTS:
            texts[plain] = _pairs(plain, value)
        else:
            texts[plain] = text_of(plain, value)
    return texts


def options_of(manifest: str, out: str | None, texts: Mapping[str, Any], *, typed: str | None = None) -> Options:
    """texts: of ``texts_of``. typed: the command line that they come from, None for Python. Raises UsageError."""
    spelled = str if typed is None else _as_flag  # an option of Python is called by its name
    flags = {
        name: Given("true" if texts[name] is True else texts[name], flag=spelled(name))
        for name in _SETTINGS
        if name in texts
    }
    of_rows: dict[str, Any] = {
        name: texts.get(name) for name in ("model", "format", "prompt_column", "prompt_input", "path")
    }
    of_rows |= {name: tuple(texts.get(name, ())) for name in ("matrix", "meta")}
    of_rows |= {name: _parsed(parse_count, texts, name, spelled) for name in ("limit", "repeat")}
    pairs = tuple(_split(text, spelled("set")) for text in texts.get("set", ()))
    overrides = Overrides(**of_rows, set=pairs, dynamic="dynamic" in texts)
    return Options(
        manifest=manifest,
        out=out,
        overrides=overrides,
        flags=flags,
        **{name: texts.get(name) for name in ("token_file", "base_url", "images", "media")},
        trust_hosts=tuple(texts.get("trust_host", ())),
        simulate="simulate" in texts,
        continue_copy="continue_copy" in texts,
        shard=_parsed(parse_shard, texts, "shard", spelled),
        command=command(manifest, out, texts) if typed is None else typed,
    )


def command(manifest: str, out: str | None, texts: Mapping[str, Any]) -> str:
    """The command line that does the same."""
    words = ["batcher", "run", manifest, *([] if out is None else ["--out", out])]
    for name, text in texts.items():
        flag = _as_flag(name)
        for part in text if isinstance(text, list) else [text]:
            words += [flag] if part is True else [flag, part]
    return shlex.join(words)


def recorded_words(run_dir: Path) -> list[str]:
    """The words behind ``batcher run`` that made a run, its manifest among them.

    Raises UsageError if none are recorded, or if they can't be repeated.
    """
    with closing(connect_to_read(run_dir)) as connection:
        command = read_facts(connection).command or ""
    words = shlex.split(command)
    if words[:2] != ["batcher", "run"]:
        what = f"{run_dir} does not record which command made it"
        raise UsageError(what, hint="Name the manifest: batcher run MANIFEST -o RUN")
    if "-" in words[2:]:
        what = f"{run_dir} was made from standard input, which is not kept"
        raise UsageError(what, hint=f"Pipe the prompts in again: {command}")
    return words[2:]


def recorded(run_dir: Path) -> tuple[str, dict[str, Any]]:
    """The manifest and the texts of the command that made a run. Raises as ``recorded_words``."""
    manifest, walk = "", iter(recorded_words(run_dir))
    texts: dict[str, Any] = {}
    for word in walk:
        if not word.startswith("-"):
            manifest = word
            continue
        flag, equals, value = word.partition("=")
        name = flag.lstrip("-").replace("-", "_")
        if name in _SWITCHES:
            texts[name] = True
        elif name in NAMES or name in {"out", "o", "progress"}:
            value = value if equals else next(walk, "")
            if name in _LISTS:
                texts.setdefault(name, []).append(value)
            elif name in NAMES:
                texts[name] = value
    return manifest, texts


def is_run(manifest: Any) -> bool:
    """Whether ``manifest`` is the path of a run directory."""
    return isinstance(manifest, (str, PathLike)) and has_state(Path(fspath(manifest)))


def text_of(name: str, value: Any) -> str:
    """A Python value as the text of a flag. Raises UsageError."""
    if isinstance(value, str):
        return value
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.3f}s"
    if isinstance(value, bool):
        return str(value).lower()
    number = _number(value)
    if number is not None:
        return f"{number}s" if name in _SECONDS else number
    if isinstance(value, Iterable):
        return ",".join(str(one) for one in value)  # embed=["xmp", "iptc"]
    raise UsageError(f"{name}={value!r}: a {type(value).__name__} can't be used for it", hint="Give the flag's text.")


def options_for(call: str, kind: type, given: Mapping[str, Any], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments for ``kind``, the dataclass of the command's options.

    call: its name for messages. given: values by name. without: fields that the call does not take. Raises UsageError
    for an unknown name and for a value of another type.
    """
    types = {one.name: get_args(one.type) or (one.type,) for one in fields(kind) if one.name not in without}
    for name in given:
        if name not in types:
            raise UsageError(f"{call} has no option {name!r}", hint=suggestion(name, types))
    return {name: _typed(name, value, types[name]) for name, value in given.items() if value is not None}


def path_in(name: str, value: Any) -> str:
    """Raises UsageError if ``value`` is not a path."""
    if not isinstance(value, (str, PathLike)) or not fspath(value):
        raise UsageError(f"{name}={value!r}: it must be a path")
    return str(fspath(value))


def whole_number(name: str, value: Any) -> int:
    """An int of Python or numpy. Raises UsageError for anything else."""
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise UsageError(f"{name}={value!r}: it must be a whole number")
    return number


def _typed(name: str, value: Any, types: tuple[Any, ...]) -> Any:
    if bool in types:
        if not isinstance(value, bool):
            raise UsageError(f"{name}={value!r}: it must be True or False")
        return value
    if int in types:
        return whole_number(name, value)
    if Path in types:
        return Path(path_in(name, value))
    if str in types and Ellipsis not in types:
        if isinstance(value, Mapping):
            return ",".join(f"{key}={share}" for key, share in value.items())
        return text_of(name, value)
    return tuple(map(str, [value] if isinstance(value, str) or not isinstance(value, Iterable) else value))


def _number(value: Any) -> str | None:
    """A Python or numpy number without an exponent; None if ``value`` is not a number."""
    plain = _plain(value)
    if isinstance(plain, int) and not isinstance(plain, bool):
        return str(plain)
    return f"{plain:.9f}".rstrip("0").rstrip(".") if isinstance(plain, float) else None


def _pairs(name: str, value: Any) -> list[str]:
    """``{"seed": range(4)}`` as ``["seed=0..3"]``."""
    if isinstance(value, Mapping):
        return [f"{key}={_axis(part) if name == 'matrix' else _value(part)}" for key, part in value.items()]
    if isinstance(value, str):
        return [value]
    if isinstance(value, Iterable):
        return [str(one) for one in value]
    raise UsageError(f"{name}={value!r}: it must be a dict or a list of texts")


def _axis(value: Any) -> str:
    if isinstance(value, str):
        return value  # "1..20", "random:20:7"
    if isinstance(value, range) and value.step == 1 and len(value) > 0:
        return f"{value[0]}..{value[-1]}"
    values = value if isinstance(value, Iterable) else [value]
    return json.dumps([_plain(one) for one in values], ensure_ascii=False)


def _value(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python; anything else as it is."""
    try:
        return value.item() if hasattr(value, "item") else value
    except ValueError:
        return value


def _split(text: str, spelled: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{spelled} {text!r}: it looks like --set negative_prompt='text, watermark'")
    return name.strip(), value


def _parsed(parse: Callable[[str], T], texts: Mapping[str, Any], name: str, spelled: Callable[[str], str]) -> T | None:
    try:
        return parse(texts[name]) if name in texts else None
    except ValueError as error:
        raise UsageError(f"{spelled(name)} {texts[name]!r}: {error}") from None


def _as_flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
