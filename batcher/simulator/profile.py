"""All behaviour of the simulated service as one frozen value, from YAML or from keywords.

The default is a service on a good day: quick, faultless, without limits. ``samples/simulator.yaml`` shows a bad one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from batcher.simulator.faults import Fault
from batcher.simulator.latency import Latency

RetryAfter = Literal["none", "seconds", "date"]


class ProfileError(ValueError):
    """The profile can't be read: the message says which key and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the service behaves. Times are in seconds, money in US dollars.

    Speed: latency of the job itself and queue before it; slots: jobs that run at once (None: all), the rest wait.
    Limits: accepted submits a second, and calls of any kind a second (None: no limit); see ``latency.Gate``.
    Money: a job is charged when it starts running; failed ones only with charge_failed. balance: None never ends.
        cost_late: so many reads of a finished result come without its cost. costs: what results say that they cost, in
        the order of the submits and over again: an amount is charged, anything else is only said, null is not said.
    Account: tokens that are accepted (None: any); auth_status: the HTTP status of error 400004.
    Words: what states are called on the wire. ended_word is what /status says of every job that ran.
    Output: shape of ``output``; image_bytes pads files to about this size.
    Oddities: fresh_404: the first N reads of an id answer 404. lagging_result: a finished job's first N result reads
        still say it is running. unfinished_result: HTTP status of the result of an unfinished job, or 400005 for HTTP
        400 with that error_code (None: 200 with its state). defaults_fill: required inputs that have a default may be
        left out. submit_status: HTTP status of an accepted submit; 202 has a status beside the id. result_lifetime,
        link_lifetime: ids and links die after so long. strict_links: links with another percent-encoding than given
        out are 404. echo: results repeat the inputs.
    """

    seed: int = 1
    latency: Latency = field(default_factory=Latency)
    queue: Latency = field(default_factory=lambda: Latency(kind="fixed", median=0.0))
    slots: int | None = None

    rate_limit: float | None = None
    rate_burst: int | None = None
    rate_shape: Literal["bucket", "window"] = "bucket"
    retry_after: RetryAfter = "none"
    call_rate_limit: float | None = None
    call_rate_burst: int | None = None
    call_rate_shape: Literal["bucket", "window"] = "bucket"
    call_retry_after: RetryAfter = "none"

    price: float = 0.02
    price_in_catalog: bool = True
    charge_failed: bool = False
    cost_late: int = 0
    costs: tuple[Any, ...] = ()
    balance: float | None = None

    tokens: tuple[str, ...] | None = None
    auth_status: int = 400

    queued_word: str = "in_queue"
    running_word: str = "in_progress"
    ended_word: str = "completed"
    success_word: str = "succeeded"
    cancelled_word: str = "cancelled"

    output_shape: Literal["image", "images", "both", "string", "list", "empty"] = "image"
    image_format: Literal["png", "jpeg", "webp"] = "png"
    image_bytes: int | None = None
    image_side: int = 240
    echo: bool = False

    fresh_404: int = 0
    lagging_result: int = 0
    unfinished_result: int | None = None
    defaults_fill: bool = False
    submit_status: int = 200
    result_lifetime: float | None = None
    link_lifetime: float | None = None
    expired_file_status: int = 403
    strict_links: bool = False

    faults: tuple[Fault, ...] = ()

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "Profile":
        """Raises ProfileError for unknown keys and values that don't fit."""
        return cls().merged(settings)

    @classmethod
    def load(cls, path: Path | str) -> "Profile":
        try:
            settings = yaml.safe_load(Path(path).read_text("utf-8"))
        except (OSError, UnicodeError) as error:
            raise ProfileError(f"{path}: can't be read: {error}") from error
        except yaml.YAMLError as error:
            raise ProfileError(f"{path}: not YAML: {error}") from error
        try:
            return cls.from_mapping({} if settings is None else settings)
        except ProfileError as error:
            raise ProfileError(f"{path}: {error}") from error

    def merged(self, settings: Mapping[str, Any]) -> "Profile":
        """The same profile with some settings changed."""
        return replace(self, **_parsed(Profile, settings, ""))


def _parsed(kind: type[Any], settings: Any, where: str) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise ProfileError(f"{where or 'a profile'}: expected keys with values, found {settings!r}")
    hints = _hints(kind)
    return {key: _value(hints, key, value, f"{where}{key}") for key, value in settings.items()}


def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {entry.name: hints[entry.name] for entry in fields(kind)}


def _value(hints: Mapping[str, Any], key: Any, value: Any, where: str) -> Any:
    if key not in hints:
        near = get_close_matches(str(key), hints, 1, cutoff=0.5)
        raise ProfileError(f"unknown key {where!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    return convert(hints[key], value, where)


def convert(hint: Any, value: Any, where: str) -> Any:
    """The value as its annotation wants it, or ProfileError."""
    if get_origin(hint) in {Union, UnionType}:
        return None if value is None else convert(next(h for h in get_args(hint) if h is not NoneType), value, where)
    if hint is Latency:
        return latency(value, where)
    if get_origin(hint) is tuple:
        return _many(get_args(hint)[0], value, where)
    if get_origin(hint) is Literal:
        return _one_of(get_args(hint), value, where)
    return value if hint is Any else _plain(hint, value, where)


def _many(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ProfileError(f"{where}: expected a list, found {value!r}")
    return tuple(_fault(one, where) if hint is Fault else convert(hint, one, where) for one in value)


def _one_of(words: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in words:
        raise ProfileError(f"{where}: {value!r} is not one of {', '.join(map(str, words))}")
    return value


def _plain(hint: type[Any], value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (hint is not str and hint is not bool and (value < 0 or math.isnan(value))):
        name = {float: "a number of at least 0", int: "a whole number of at least 0", bool: "true or false"}
        raise ProfileError(f"{where}: expected {name.get(hint, 'text')}, found {value!r}")
    if value == 0 and where.endswith(("slots", "rate_limit")):
        raise ProfileError(f"{where}: 0 would let nothing through; leave it out for no limit")
    return value


def _fault(value: Any, where: str) -> Fault:
    if isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return fault(value)
    if isinstance(value, Mapping) and isinstance(value.get("kind"), int):
        value = {**value, "kind": str(value["kind"])}
    try:
        return Fault(**_parsed(Fault, value, f"{where}."))
    except ProfileError:
        raise
    except (TypeError, ValueError) as error:
        raise ProfileError(f"{where}: {error}") from error


def fault(text: str) -> Fault:
    """``WHERE:KIND`` or ``WHERE:KIND:PROBABILITY``, as on the command line."""
    where, _, rest = text.partition(":")
    kind, _, share = rest.partition(":")
    try:
        return Fault(where=where, kind=kind, probability=float(share) if share else 1.0)
    except ValueError as error:
        raise ProfileError(f"fault {text!r}: {error}") from error


def latency(value: Any, where: str = "latency") -> Latency:
    """A mapping; a number of seconds (always that long); or ``LOW-HIGH`` (anything between, evenly)."""
    if isinstance(value, Latency):
        return value
    if isinstance(value, Mapping):
        return Latency(**_parsed(Latency, value, f"{where}."))
    low, dash, high = str(value).partition("-")
    try:
        if dash:
            return Latency(kind="uniform", low=_seconds(low), high=_seconds(high))
        return Latency(kind="fixed", median=_seconds(low))
    except ValueError:
        raise ProfileError(f"{where}: expected seconds (0.4) or a range of them (20-60), found {value!r}") from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError(text)
    return seconds
