"""The settings of a run as one frozen value: flags override the manifest's ``run:`` block, which overrides defaults.

Every option is text until it is parsed here. So the error for a bad one names its origin: a flag (exit 64) or a line
of the manifest (exit 65).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from batcher.core.errors import ManifestError, Problem, UsageError
from batcher.core.one_line import one_line
from batcher.core.units import parse_clock, parse_count, parse_duration, parse_rate, parse_usd


@dataclass(frozen=True, slots=True)
class Given:
    """An option's text and its origin: a flag's name, or ``file``, ``line`` and ``column`` of a manifest."""

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


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.strip().lower()

    return parse


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The parser that also takes ``none``."""
    return lambda text: None if text.strip().lower() == "none" else parse(text)


def _share(text: str) -> float:
    """``90%`` or ``0.9``."""
    word = text.strip()
    try:
        share = float(word.removesuffix("%")) / (100.0 if word.endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 < share <= 1.0:
        raise ValueError("a share looks like 90% or 0.9, or none")
    return share


def _yes_or_no(text: str) -> bool:
    return _choice("true", "false")(text) == "true"


def _names(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names or any(len(name) > 200 or not name.isprintable() for name in names):
        raise ValueError("must be names of the model's inputs, separated by commas")
    return names


def parse_embed(text: str) -> frozenset[str]:
    """``infotext,xmp``; ``signed`` beside them: into files with a C2PA manifest too; ``none``."""
    words = {word.strip().lower() for word in text.split(",")}
    if words == {"none"}:
        return frozenset()
    if not words <= {"infotext", "xmp", "iptc", "signed"} or words == {"signed"}:
        raise ValueError(
            "must be infotext, xmp or iptc, separated by commas (add signed to write into signed files too), or none"
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


def _option(default: Any, parse: Callable[[str], Any]) -> Any:
    """A field of ``Settings``. parse: reads its text, or raises ValueError."""
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of the same names: flags override the manifest's ``run:`` block, which overrides these defaults.

    rate, api_rate: submits and calls per second; None for no limit. in_flight: jobs at the service at once, at most.
    downloads: files fetched at once, at most. check: how far a file is checked before it counts.
    budget, price: dollars; None for no budget, and for the catalogue's price.
    in_doubt: hold (leave it to a person), or resubmit, which may pay twice.
    deadline: when to stop submitting; None for never.
    attempts: paid tries a job, at most. max_failures: failed jobs before the run stops; None for any number.
    fuse: jobs in a row that fail for one cause; fuse_share: share of the last 100 that do, 0 to 1. Either one stops the
        run; None never does.
    timeout: seconds a job may be unfinished at the service before it is given up on (its id is kept).
    cancel_on_interrupt: whether Ctrl-C also cancels what is queued at the service.
    progress: what is shown on standard error.
    embed: of infotext, xmp, iptc; signed: into files with a C2PA manifest too.
    no_schema_check: inputs of the model that are sent as they are.
    check_inputs: which URLs of file inputs are looked at before the first submit: auto (the first 200 different ones,
        then a sample), all or none.
    engine: who fetches files: local (this process), or ray, with so many workers, None for one for each free CPU.

    >>> usual = batcher.Settings()
    >>> usual.rate, usual.in_flight, usual.attempts, usual.budget
    (2.0, 32, 2, None)
    >>> batcher.run(["a red kite"], out="runs/kite", rate=10 * usual.rate, attempts=1, simulate=True).done
    1
    """

    rate: float = _option(2.0, parse_rate)
    in_flight: int = _option(32, parse_count)
    downloads: int = _option(16, parse_count)
    api_rate: float | None = _option(None, _or_none(parse_rate))
    check: Literal["decode", "structure", "none"] = _option("decode", _choice("decode", "structure", "none"))
    budget: float | None = _option(None, parse_usd)
    price: float | None = _option(None, parse_usd)
    in_doubt: str = _option("hold", _choice("hold", "resubmit"))
    deadline: Deadline | None = _option(None, parse_deadline)  # noqa: RUF009  a field
    attempts: int = _option(2, parse_count)
    progress: str = _option("auto", _choice("auto", "bar", "lines", "json", "none"))
    max_failures: int | None = _option(None, parse_count)
    cancel_on_interrupt: bool = _option(False, _yes_or_no)
    fuse: int | None = _option(20, _or_none(parse_count))
    fuse_share: float | None = _option(0.9, _or_none(_share))
    timeout: float = _option(1800.0, parse_duration)
    embed: frozenset[str] = _option(frozenset(), parse_embed)
    check_inputs: str = _option("auto", _choice("auto", "all", "none"))
    engine: str = _option("local", _choice("local", "ray"))
    workers: int | None = _option(None, parse_count)
    no_schema_check: frozenset[str] = _option(frozenset(), _names)


PARSERS: dict[str, Callable[[str], Any]] = {one.name: one.metadata["parse"] for one in fields(Settings)}


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
            quoted = repr(one_line(given.text, 60))
            if given.flag:
                raise UsageError(f"{given.flag} {quoted}: {error}") from None
            problems.append(Problem(given.file, given.line, given.column, f"run.{name} is {quoted}", str(error)))
    if problems:
        raise ManifestError(problems)
    return Settings(**values)
