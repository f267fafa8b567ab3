"""The options of ``Run.export`` and ``Run.pick``: Python values as the options of the command."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any, get_args

from batcher.api.options import text_of
from batcher.core.errors import UsageError
from batcher.core.suggest import suggestion


def options_for(call: str, kind: type, given: Mapping[str, Any], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments for ``kind``, the dataclass of the command's options.

    call: its name for messages. given: values by name. without: fields that the call does not take. Raises UsageError
    for an unknown name and for a value of another type.
    """
    types = {one.name: get_args(one.type) or (one.type,) for one in fields(kind) if one.name not in without}
    for name in given:
        if name not in types:
            raise UsageError(f"{call} has no option {name!r}", hint=suggestion(name, types))
    return {name: _value(name, value, types[name]) for name, value in given.items() if value is not None}


def path_in(name: str, value: Any) -> str:
    """Raises UsageError if ``value`` is not a path."""
    if not isinstance(value, (str, PathLike)) or not fspath(value):
        raise UsageError(f"{name}={value!r}: it must be a path")
    return str(fspath(value))


def whole_number(name: str, value: Any) -> int:
    """An int of Python or numpy. Raises UsageError for anything else."""
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise UsageError(f"{name}={value!r}: it must be a whole number")
    return number


def _value(name: str, value: Any, types: tuple[Any, ...]) -> Any:
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
