"""The result of a run: ``report.json`` and the exit code. ``report_words`` makes text of it."""

import json
import sqlite3
from dataclasses import dataclass, fields
from pathlib import Path

from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from batcher.core.job import Counts, State, utc
from batcher.core.lifecycle import TERMINAL
from batcher.core.tally import Tally
from batcher.core.version import __version__
from batcher.runner.stop import SEVERITY, Stop
from batcher.store import read_facts, reading
from batcher.store.facts import Ended
from batcher.store.files.whole import write_whole
from batcher.store.money import Money, money_by_state


class CauseCount(Struct, frozen=True, kw_only=True):
    """Jobs that failed or are in doubt for one cause.

    state: of the jobs. cause: one word, as in ``Cause.kind``; message: of that cause. count: of jobs. example: the
    prompt id of one of them.
    """

    state: str
    cause: str
    message: str
    count: int
    example: str


class Standing(Struct, frozen=True, kw_only=True):
    """Jobs, files and money by state: the part that report and ``status`` have in common.

    run: the run directory, as named. total: jobs of the manifest. done, failed, cancelled, in_doubt, pending: of these;
    at_service, to_download: of the pending ones. images, bytes: files on record and their size. submits_total: of all
    starts.

    Money: dollars over the life of the run directory, None if unknown. cost_usd: spent and reserved.
    spent_usd: for submits that ended or are in doubt. reserved_usd: for those at the service. unclear_usd: for those
    that the service failed without reporting a cost; only a budget counts them. projected_usd: including what is still
    to be submitted. cost_by_state: cost_usd by the current states of the jobs, as ``money_by_state``. warnings: number
    of images with one.
    """

    run: str
    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    in_doubt: int = 0
    pending: int = 0
    at_service: int = 0
    to_download: int = 0
    images: int = 0
    bytes: int = 0
    submits_total: int = 0
    cost_usd: float | None = None
    spent_usd: float | None = None
    reserved_usd: float | None = None
    unclear_usd: float | None = None
    projected_usd: float | None = None
    cost_by_state: dict[str, float | None] = {}
    warnings: int = 0


class Report(Standing, frozen=True, kw_only=True):
    """The report, in the order in which ``report.json`` and ``--json`` have it; ``manual/json.md`` explains the fields.

    warnings: number of those that this run gave about files.
    """

    submits: int = 0
    seconds: float = 0.0
    submit_rate: float = 0.0
    rate_limited: int = 0
    exit_code: int = 0
    stopped_by: str | None = None
    message: str = ""
    simulated: bool = False
    batcher: str = ""
    began_at: str | None = None
    ended_at: str | None = None
    command: str = ""
    manifest: str | None = None
    model: str | None = None
    price_usd: float | None = None
    causes: list[CauseCount] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that only the process has.

    run_dir: as named. total: jobs of the manifest. limited: whether ``--limit`` left jobs out. tally: counts of this
    process. seconds: run time of this process. ended: Unix seconds. simulated: whether by the simulator. asked:
    requested submits per second, None for no rate. command: as typed. price: dollars an image, None if unknown.
    """

    run_dir: Path
    total: int
    limited: bool
    tally: Tally
    seconds: float
    ended: float
    simulated: bool
    asked: float | None
    command: str
    price: float | None


def exit_code(counts: Counts, stop: Stop | None, *, limited: bool = False) -> int:
    """The exit code: the most severe of those that apply, 0 if none does."""
    applies = {5: counts.in_doubt > 0, 3: counts.failed > 0, 4: counts.done < counts.total or limited}
    if stop is not None and stop.reason is not None:
        applies.setdefault(stop.reason.exit_code, True)  # not 4: a budget that the last job reached left no work
    return next((code for code in SEVERITY if applies.get(code)), 0)


def build(connection: sqlite3.Connection, facts: Facts, stop: Stop) -> Report:
    """The report of a run that has ended. connection: to its state file. stop: the reason, if it ended early."""
    counts, recorded, tally = reading.counts(connection, facts.total), read_facts(connection), facts.tally
    rate = tally.submit_rate if facts.asked is None else min(tally.submit_rate, facts.asked)  # of a short run: jitter
    now = asdict(standing(connection, counts, facts.price, str(facts.run_dir)))
    return Report(
        **{**now, "warnings": tally.warned},
        submits=tally.submits,
        seconds=round(facts.seconds, 3),
        submit_rate=round(rate, 3),
        rate_limited=tally.rate_limited,
        exit_code=exit_code(counts, stop, limited=facts.limited),
        stopped_by=stop.reason.word if stop.reason else "limit" if facts.limited else None,
        message=stop.message,
        simulated=facts.simulated,
        batcher=__version__,
        began_at=utc(facts.ended - facts.seconds),
        ended_at=utc(facts.ended),
        command=facts.command,
        manifest=recorded.manifest,
        model=recorded.model,
        price_usd=facts.price,
        causes=causes(connection),
    )


def causes(connection: sqlite3.Connection) -> list[CauseCount]:
    """Failed and in-doubt jobs by cause, the most frequent first."""
    return [
        CauseCount(
            state=str(group.state), cause=group.cause.kind, message=group.cause.message, count=group.count,
            example=group.example,
        )
        for group in reading.failures(connection)
    ]  # fmt: skip


def ended(report: Report) -> Ended:
    """The part of the report that the state file keeps, so that ``status`` can say why and when the run ended."""
    return Ended(**{one.name: getattr(report, one.name) for one in fields(Ended)})


def standing(connection: sqlite3.Connection, counts: Counts, price: float | None, run: str = "") -> Standing:
    """price: dollars an image. run: the run directory, as it is to be shown."""
    by_state = reading.by_state(connection)
    at_service = by_state.get(State.RUNNING, 0) + by_state.get(State.SUBMITTING, 0)
    to_download = by_state.get(State.READY, 0)
    images, size, odd = reading.images(connection)
    money = money_by_state(connection)
    whole = sum(money.values(), Money())
    total = whole.cost(price)
    reserved = whole.open * (price or 0.0)
    unlisted = max(0, counts.pending - sum(by_state.get(state, 0) for state in State if state not in TERMINAL))
    to_come = (whole.waiting + unlisted) * (price or 0.0)
    return Standing(
        run=run,
        total=counts.total,
        done=counts.done,
        failed=counts.failed,
        cancelled=counts.cancelled,
        in_doubt=counts.in_doubt,
        pending=counts.pending,
        at_service=at_service,
        to_download=to_download,
        images=images,
        bytes=size,
        submits_total=whole.submits,
        cost_usd=total,
        spent_usd=None if total is None else round(total - reserved, 6),
        reserved_usd=None if price is None and whole.open else round(reserved, 6),
        unclear_usd=None if price is None and whole.failed else round(whole.failed * (price or 0.0), 6),
        projected_usd=None if total is None or (price is None and counts.pending) else round(total + to_come, 6),
        cost_by_state={name: one.cost(price) for name, one in money.items()},
        warnings=odd,
    )


def write(run_dir: Path, report: Report) -> None:
    """Write ``report.json``, whole or not at all. Raises DiskError."""
    write_whole(run_dir / "report.json", [json.dumps(to_builtins(report), indent=2) + "\n"])
