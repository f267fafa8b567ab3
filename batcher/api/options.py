"""From Python values to the flags of ``run``: the same names, read by the same parsers.

Each option becomes the text of its flag. So a Python value and a command line can't mean different things, and the
command that is recorded for the resume can be typed.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

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
_EDGES = ("log", "metrics", "on_end")
_TEXTS = (
    "model", "format", "prompt_column", "prompt_input", "path", "limit", "shard", "repeat", "token_file", "base_url",
    "images", "media", *_EDGES,
)  # fmt: skip
_LISTS = ("set", "matrix", "meta", "trust_host")
_SWITCHES = ("dynamic", "cancel_on_interrupt", "simulate", "continue_copy")
_SECONDS = frozenset({"timeout", "deadline"})  # numbers of these are seconds
NAMES = (*_TEXTS, *_LISTS, *_SWITCHES, *(name for name in _SETTINGS if name not in _SWITCHES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """What a run writes for other programs, and the user's own command at its end.

    run: the run directory for the log, "" if it is not known yet. log, metrics: paths of files. on_end: a command for
    the shell.
    """

    run: str = ""
    log: str | None = None
    metrics: str | None = None
    on_end: str | None = None


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
    spelled = _as_keyword if typed is None else _as_flag
    flags = {
        name: Given("true" if texts[name] is True else texts[name], flag=spelled(name))
        for name in _SETTINGS
        if name in texts
    }
    overrides = Overrides(
        model=texts.get("model"),
        set=tuple(_split(text, spelled("set")) for text in texts.get("set", ())),
        matrix=tuple(texts.get("matrix", ())),
        format=texts.get("format"),
        prompt_column=texts.get("prompt_column"),
        prompt_input=texts.get("prompt_input"),
        path=texts.get("path"),
        meta=tuple(texts.get("meta", ())),
        limit=_parsed(parse_count, texts, "limit", spelled),
        repeat=_parsed(parse_count, texts, "repeat", spelled),
        dynamic="dynamic" in texts,
    )
    return Options(
        manifest=manifest,
        out=out,
        overrides=overrides,
        flags=flags,
        token_file=texts.get("token_file"),
        base_url=texts.get("base_url"),
        trust_hosts=tuple(texts.get("trust_host", ())),
        simulate="simulate" in texts,
        continue_copy="continue_copy" in texts,
        shard=_parsed(parse_shard, texts, "shard", spelled),
        images=texts.get("images"),
        media=texts.get("media"),
        command=command(manifest, out, texts) if typed is None else typed,
    )


def edges_of(texts: Mapping[str, Any], run: str) -> Edges:
    return Edges(run=run, **{name: texts.get(name) for name in _EDGES})


def command(manifest: str, out: str | None, texts: Mapping[str, Any]) -> str:
    """The command line that does the same."""
    words = ["batcher", "run", manifest, *([] if out is None else ["--out", out])]
    for name, text in texts.items():
        flag = _as_flag(name)
        for part in text if isinstance(text, list) else [text]:
            words += [flag] if part is True else [flag, part]
    return shlex.join(words)


def recorded(run_dir: Path) -> tuple[str, dict[str, Any]]:
    """The manifest and the texts of the command that made a run. Raises UsageError if none is recorded."""
    connection = connect_to_read(run_dir)
    try:
        words = shlex.split(read_facts(connection).command or "")
    finally:
        connection.close()
    if words[:2] != ["batcher", "run"]:
        raise UsageError(f"{run_dir} does not record which command made it", hint="Give the manifest, and out=RUN.")
    manifest, walk = "", iter(words[2:])
    texts: dict[str, Any] = {}
    for word in walk:
        if not word.startswith("-") or word == "-":
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
    if manifest in {"", "-"}:
        raise UsageError(f"{run_dir} was made from standard input, which is not kept", hint="Give the rows again.")
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


def _number(value: Any) -> str | None:
    """A Python or numpy number without an exponent; None if ``value`` is not a number."""
    try:
        plain = value.item() if hasattr(value, "item") else value
    except ValueError:
        return None
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
    return value.item() if hasattr(value, "item") and not isinstance(value, (str, bytes)) else value


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


def _as_keyword(name: str) -> str:
    return name


def _as_flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
