"""What a run was told, folded into one frozen value: flags over the manifest's ``run:`` block over defaults.

Owns the environment and the token files. Every option is text until it is parsed here, once, whoever gave it, so a bad
one is answered in the words of the place it came from: a flag (exit 64) or a line of the manifest (exit 65).
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from batcher.client.protocol import one_line
from batcher.core.errors import AccountError, ManifestError, Problem, UsageError
from batcher.core.units import parse_clock, parse_count, parse_duration, parse_rate, parse_usd

BASE_URL = "https://model-api.runcomfy.net/v1"
BASE_URL_ENV = "RUNCOMFY_MODEL_API_BASE"
TOKEN_ENV = ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY")


@dataclass(frozen=True, slots=True)
class Given:
    """An option's text and where it stands: a flag's name, or ``file``, ``line`` and ``column`` of a manifest."""

    text: str
    flag: str = ""
    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Start nothing new after ``seconds`` from the start, or at ``hour``:``minute`` local time, the next to come."""

    seconds: float | None = None
    hour: int = 0
    minute: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """rate, api_rate: per second. timeout: seconds a job may be unfinished at the service before it is given up on
    (its id is kept). attempts: paid tries a job, at most. budget, price: dollars.
    embed: of infotext, xmp, iptc; signed: into files with a C2PA manifest too.
    """

    rate: float = 2.0
    in_flight: int = 32
    downloads: int = 16
    api_rate: float | None = None
    check: Literal["decode", "structure", "none"] = "decode"
    budget: float | None = None
    price: float | None = None
    in_doubt: str = "hold"
    deadline: Deadline | None = None
    attempts: int = 2
    max_failures: int | None = None
    timeout: float = 1800.0
    fuse: int | None = 20
    fuse_share: float | None = 0.9
    cancel_on_interrupt: bool = False
    embed: frozenset[str] = frozenset()
    progress: str = "auto"


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"it must be one of {', '.join(words)}")
        return text.strip().lower()

    return parse


def _rate_or_none(text: str) -> float | None:
    return None if text.strip().lower() == "none" else parse_rate(text)


def _number_or_none(text: str) -> int | None:
    return None if text.strip().lower() == "none" else parse_count(text)


def _share_or_none(text: str) -> float | None:
    """``90%`` or ``0.9``; ``none`` for no such fuse."""
    word = text.strip().lower()
    if word == "none":
        return None
    try:
        share = float(word.removesuffix("%")) / (100.0 if word.endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 < share <= 1.0:
        raise ValueError("a share looks like 90% or 0.9, or none")
    return share


def _yes_or_no(text: str) -> bool:
    return _choice("true", "false")(text) == "true"


def parse_embed(text: str) -> frozenset[str]:
    """``infotext,xmp``; ``signed`` beside them: into files with a C2PA manifest too; ``none``."""
    words = {word.strip().lower() for word in text.split(",")}
    if words == {"none"}:
        return frozenset()
    if not words <= {"infotext", "xmp", "iptc", "signed"} or words == {"signed"}:
        raise ValueError(
            "it must be of infotext, xmp and iptc, with commas (signed beside them overrules C2PA), or none"
        )
    return frozenset(words)


def parse_deadline(text: str) -> Deadline:
    """``8h`` from now, or ``07:00``, the next time the local clock shows it."""
    if ":" in text:
        hour, minute = parse_clock(text)
        return Deadline(hour=hour, minute=minute)
    try:
        return Deadline(seconds=parse_duration(text))
    except ValueError:
        raise ValueError("a deadline looks like 8h or 07:00") from None


def deadline_at(deadline: Deadline | None, now: float) -> float | None:
    """The deadline in Unix seconds. A time of day is the next one on the local clock, whatever summer time does."""
    if deadline is None:
        return None
    if deadline.seconds is not None:
        return now + deadline.seconds
    local = datetime.fromtimestamp(now).astimezone()
    today = local.replace(tzinfo=None, hour=deadline.hour, minute=deadline.minute, second=0, microsecond=0, fold=0)
    again = today.replace(fold=1)  # the second one of an hour that the clock shows twice; in other hours no other
    twice = again.timestamp() > today.timestamp()
    moments = (today, again if twice else today, today + timedelta(days=1))
    return next(moment.timestamp() for moment in moments if moment.timestamp() > now)


PARSERS: dict[str, Callable[[str], Any]] = {
    "rate": parse_rate,
    "in_flight": parse_count,
    "downloads": parse_count,
    "api_rate": _rate_or_none,
    "check": _choice("decode", "structure", "none"),
    "budget": parse_usd,
    "price": parse_usd,
    "in_doubt": _choice("hold", "resubmit"),
    "deadline": parse_deadline,
    "attempts": parse_count,
    "max_failures": parse_count,
    "timeout": parse_duration,
    "fuse": _number_or_none,
    "fuse_share": _share_or_none,
    "cancel_on_interrupt": _yes_or_no,
    "embed": parse_embed,
    "progress": _choice("auto", "bar", "lines", "json", "none"),
}


def fold(flags: Mapping[str, Given], manifest: Mapping[str, Given]) -> Settings:
    """The settings. Raises UsageError for a bad flag, ManifestError with every bad option of the manifest."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, given in {**manifest, **flags}.items():
        if name not in PARSERS:
            continue
        try:
            values[name] = PARSERS[name](given.text)
        except ValueError as error:
            said = repr(one_line(given.text, 60))
            if given.flag:
                raise UsageError(f"{given.flag} {said}: {error}") from None
            problems.append(Problem(given.file, given.line, given.column, f"run.{name} is {said}", str(error)))
    if problems:
        raise ManifestError(problems)
    return Settings(**values)


def base_url(flag: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The API root: the flag, else the environment (blank counts as unset), else RunComfy's."""
    return flag or environ.get(BASE_URL_ENV, "").strip() or BASE_URL


@dataclass(frozen=True, slots=True)
class Token:
    """The secret and where it came from. Its repr never shows it. ``warning``: what is unsafe about the place."""

    value: str
    origin: str
    warning: str = ""

    def __repr__(self) -> str:
        return f"Token(origin={self.origin!r})"


def find_token(token_file: str | None, environ: Mapping[str, str] = os.environ) -> Token:
    """``--token-file``, else the environment, else the file that the official CLI writes. Raises AccountError."""
    if token_file is not None:
        return _from_file(Path(token_file), "--token-file")
    for name in TOKEN_ENV:
        if value := environ.get(name, "").strip():
            return _checked(value, f"environment variable {name}")
    path = _cli_token_path(environ)
    if os.path.isfile(path):  # noqa: PTH113  Path.is_file raises for a folder we may not search
        return _from_file(path, "the RunComfy CLI's token file")
    raise AccountError(
        "no token was given",
        hint="Set RUNCOMFY_TOKEN, or pass --token-file FILE, or sign in with the RunComfy CLI (`runcomfy login`).\n"
        "To try batcher without an account, add --simulate.",
    )


def _cli_token_path(environ: Mapping[str, str]) -> Path:
    if folder := environ.get("RUNCOMFY_CONFIG_DIR", "").strip():
        return Path(folder) / "token.json"
    config = environ.get("XDG_CONFIG_HOME", "").strip() or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(config) / "runcomfy" / "token.json"


def _from_file(path: Path, origin: str) -> Token:
    """The token is the whole file, or ``access_token`` of a JSON object (what the official CLI writes)."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise AccountError(f"the token file {path} can't be read: {reason}", hint="Nothing was sent.") from None
    if text.startswith("{"):
        try:
            text = json.loads(text)["access_token"].strip()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise AccountError(
                f"the token file {path} holds no access_token", hint="Sign in again with the RunComfy CLI."
            ) from None
    loose = os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH)
    warning = f"others on this machine can read {path}: `chmod 600 {path}`" if loose else ""
    return _checked(text, f"{origin} {path}", warning)


def _checked(value: str, origin: str, warning: str = "") -> Token:
    if not value or len(value) > 8192 or not all("!" <= character <= "~" for character in value):
        raise AccountError(
            f"what {origin} holds is not a token", hint="A token is one line of printable characters without spaces."
        )
    return Token(value, origin, warning)
