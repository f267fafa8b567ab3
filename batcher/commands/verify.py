"""``batcher verify``: check that every file is as it was, and fix what can be fetched free."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from batcher.commands.options import collect, service_options
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import runs_argument
from batcher.core.command_line import command_line, repair
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes, show_count, show_duration, show_usd

SHOWN = 3  # examples of each kind


@click.command(
    epilog="""\b
Examples:
  batcher verify runs/tonight
  batcher verify runs/tonight --repair
  batcher verify runs/tonight --check structure   faster: decodes nothing
Exit code 0 when nothing is wrong (any more), 3 when something is."""
)
@runs_argument
@click.option("--repair", is_flag=True, help="Fix what can be fetched free. Nothing is deleted: see RUN/lost+found.")
@click.option(
    "--check",
    "depth",
    type=click.Choice(("decode", "structure")),
    default="decode",
    help="How thoroughly each image is checked.  [default: decode]",
)
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Files read at once.  [default: by the machine]")
@service_options
@json_option
def verify(run_dirs: tuple[Path, ...], as_json: bool, **given: Any) -> int:
    """Check every image and sidecar against the state file. Changes nothing without --repair.

    Several RUNs are checked one after the other.
    """
    from batcher.runner.progress import listener
    from batcher.upkeep.survey import THREADS

    progress = listener("none" if as_json else "auto")
    how = {"depth": given["depth"], "threads": given["jobs"] or THREADS, "progress": progress}
    every = []
    for folder in run_dirs:
        every.append(_repaired(folder, given, how) if given["repair"] else _checked(folder, how))
        if not as_json:
            say(_words(every[-1]))
    if as_json:
        say_json(every[0] if len(every) == 1 else _together(every))
    return max(int(facts["exit_code"]) for facts in every)


def _together(every: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums over several runs, and the facts of each."""
    sums = {name: sum(facts[name] for facts in every) for name in ("jobs", "images", "files", "bytes", "wrong")}
    return {**sums, "exit_code": max(facts["exit_code"] for facts in every), "runs": every}


def _checked(folder: Path, how: dict[str, Any]) -> dict[str, Any]:
    from batcher.upkeep.survey import check

    survey = check(folder, **how)
    return _facts(folder, survey, survey.findings, how["depth"])


def _repaired(folder: Path, given: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    from batcher.commands import loop
    from batcher.upkeep.repair import repair
    from batcher.upkeep.survey import require

    require(folder)
    done = loop.run(repair(folder, collect(given), **how))
    before = [finding.as_json() for finding in done.before.findings]
    rebuilt = None if done.rebuilt is None else {"jobs": done.rebuilt.jobs, "unfinished": done.rebuilt.unfinished}
    facts = _facts(folder, done.before, done.left, how["depth"])
    return facts | {"repaired": True, "before": before, "mended": done.how, "rebuilt": rebuilt}


def _facts(folder: Path, survey: Any, findings: list[Any], depth: str) -> dict[str, Any]:
    from batcher.upkeep.findings import Fix

    paid = {finding.job: finding.price_usd for finding in findings if finding.fix is Fix.PAID}
    at_worst = {finding.job: finding.price_usd for finding in findings if finding.fix is not Fix.BY_HAND}
    return {
        "run": str(folder),
        "jobs": survey.jobs,
        "images": survey.images,
        "files": survey.files,
        "bytes": survey.bytes,
        "seconds": round(survey.seconds, 3),
        "files_per_second": round(survey.files / max(survey.seconds, 1e-6), 1),
        "check": depth,
        "going": survey.going,
        "repaired": False,
        "wrong": len(findings),
        "by_kind": dict(Counter(str(finding.kind) for finding in findings)),
        "by_repair": dict(Counter(str(finding.fix) for finding in findings)),
        "paid_jobs": len(paid),
        "paid_usd": _sum(paid.values()),
        "at_worst_usd": _sum(price for price in at_worst.values() if price is not None),
        "findings": [finding.as_json() for finding in findings],
        "exit_code": 3 if findings else 0,
    }


def _sum(prices: Iterable[float | None]) -> float | None:
    """The sum; None if a price is unknown."""
    every = list(prices)
    return None if None in every else round(sum(filter(None, every)), 6)


def _words(facts: dict[str, Any]) -> str:
    depth = "decoded" if facts["check"] == "decode" else "their structure read"
    lines = [
        (
            f"{facts['run']}: {show_count(facts['images'], 'image')} of {show_count(facts['jobs'], 'job')} checked,"
            f" {depth}"
            f"\n{show_count(facts['files'], 'file')}, {show_bytes(facts['bytes'])} in {show_duration(facts['seconds'])}"
            f" ({facts['files_per_second']:,.0f} files/s)"
        )
    ]
    if facts["going"]:
        lines.append("A run is going there: what it is writing now was left out.")
    if facts["repaired"]:
        lines += _fixed(facts)
    lines += _groups(facts["findings"])
    if not facts["wrong"]:
        lines.append("All is well now." if facts.get("before") else "All is well.")
    return "\n".join([*lines, *_advice(facts)])


def _fixed(facts: dict[str, Any]) -> list[str]:
    count = len(facts["before"])
    lines = [f"{show_count(count, 'thing was', 'things were')} wrong."] if count else []
    if facts["rebuilt"]:
        rebuilt = facts["rebuilt"]
        extra = f", and {rebuilt['unfinished']:,} that failed or are in doubt" if rebuilt["unfinished"] else ""
        lines.append(
            f"The state file was missing. The new one has {show_count(rebuilt['jobs'], 'job that is', 'jobs that are')}"
            f" done{extra}. Jobs that were at the service then are no longer known: running the manifest"
            " submits those again."
        )
    return lines + [f"  {count:>7,}  {_counted(what, count)}" for what, count in facts["mended"].items()]


def _counted(what: str, count: int) -> str:
    first, _, rest = what.partition(" ")
    return what if count == 1 else f"{first}s {rest}"


def _groups(findings: list[dict[str, Any]]) -> list[str]:
    from batcher.upkeep.findings import Kind

    lines = []
    for kind in Kind:
        mine = [finding for finding in findings if finding["kind"] == kind]
        if not mine:
            continue
        lines.append(f"  {len(mine):>7,}  {kind.words}")
        lines += [f"           {finding['file']}: {one_line(finding['message'], 300)}" for finding in mine[:SHOWN]]
        if len(mine) > SHOWN:
            lines.append(f"           ... and {len(mine) - SHOWN:,} more (all of them: --json)")
    return lines


def _advice(facts: dict[str, Any]) -> list[str]:
    by = facts["by_repair"]
    lines = []
    if by.get("free") and not facts["repaired"]:
        worst = facts["at_worst_usd"]
        money = f" (what the service no longer has would cost {show_usd(worst)} at most)" if worst else ""
        lines.append(f"{by['free']:,} can be fixed free{money}: `{repair(facts['run'])}`")
    elif by.get("free"):
        lines.append(f"{by['free']:,} can be fixed free another time: `{repair(facts['run'])}`")
    if facts["paid_jobs"]:
        price = "an unknown price" if facts["paid_usd"] is None else show_usd(facts["paid_usd"])
        lines.append(f"{show_count(facts['paid_jobs'], 'job')} can only be made again, for {price}:")
        first = "" if facts["repaired"] else f"{repair(facts['run'])}, then "
        lines.append(f"  {first}{command_line('retry', facts['run'], '--cause', 'gone', '--resubmit')}")
    if by.get("by_hand"):
        lines.append(
            f"{show_count(by['by_hand'], 'needs', 'need')} a decision. Fetching again gives the same"
            " image: change its prompt or seed in the manifest for another one, which is a new job and costs."
        )
    return lines
