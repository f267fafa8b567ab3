"""``batcher doctor``: is everything ready for a run, and what in a run needs a decision."""

import platform
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from batcher.commands.options import service_options
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import optional_run_argument
from batcher.core.command_line import command_line
from batcher.core.errors import BatcherError
from batcher.core.folding import WIDTH
from batcher.core.job import State
from batcher.core.units import show_bytes, show_count
from batcher.core.version import __version__

SLOW_FSYNC = 0.05  # seconds: beyond it the disk limits a run to some tens of jobs a second
MOST_SKEW = 60.0  # seconds
LEAST_FREE = 1_000_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer. name: what was looked at. state: ok, warn or bad. what: the finding.

    fix: what to do or type; empty if nothing is wrong.
    """

    name: str
    state: str
    what: str
    fix: str = ""


@click.command(
    epilog="""\b
Examples:
  batcher doctor
  batcher doctor runs/tonight          also what needs you in this run
  batcher doctor --simulate            without token and service
Exit code 0 when nothing is bad, else 3."""
)
@optional_run_argument
@service_options
@json_option
def doctor(run_dir: Path | None, as_json: bool, **given: Any) -> int:
    """Check token, service, clock, disk, fonts and versions; in RUN, what needs you. Costs nothing, changes nothing."""
    folder = run_dir or Path()
    checks = [*_versions(), *_disk(folder), _fonts()]
    if given["simulate"]:
        checks.append(Check("service", "ok", "the simulator: no token and no network needed"))
    else:
        checks += _service(given)
    if run_dir:
        checks += _run(folder)
    code = 3 if any(check.state == "bad" for check in checks) else 0
    if as_json:
        say_json({"exit_code": code, "checks": [asdict(check) for check in checks]})
    else:
        say("\n".join(line for check in checks for line in _lines(check)))
    return code


def _lines(check: Check) -> Iterator[str]:
    words = f"{check.state:<4}  {check.name}: {check.what}"
    yield from wrap(words, WIDTH, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)
    if check.fix:
        yield f"      {check.fix}"


def _versions() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from batcher.manifest.extras import DISTRIBUTION, install

    python = platform.python_version()
    yield Check("batcher", "ok", f"{__version__}, Python {python}, {platform.system()} {platform.machine()}")
    try:
        needed = [text for text in requires(DISTRIBUTION) or () if "extra ==" not in text]
    except PackageNotFoundError:
        yield Check("libraries", "ok", "not checked: batcher runs from a folder, it is not installed")
        return
    wrong, names = [], []
    for text in needed:
        name, lowest = _name_and_lowest(text)
        try:
            version_there = version(name)
        except PackageNotFoundError:
            version_there = "missing"
        names.append(f"{name} {version_there}")
        if version_there == "missing" or _numbers(version_there) < _numbers(lowest):
            wrong.append(f"{name} is {version_there}, {lowest} or newer is needed")
    if wrong:
        fix = install(*(word.split()[0] for word in wrong), upgrade=True)
        yield Check("libraries", "bad", "; ".join(wrong), fix)
    else:
        yield Check("libraries", "ok", ", ".join(names))


def _name_and_lowest(requirement: str) -> tuple[str, str]:
    """``aiohttp>=3.14.1`` as ``("aiohttp", "3.14.1")``; "0" without a lower bound."""
    name = re.match(r"[\w.-]+", requirement)
    lowest = re.search(r">=\s*([\d.]+)", requirement)
    return name[0] if name else requirement, lowest[1] if lowest else "0"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)][:3]


def _disk(folder: Path) -> Iterator[Check]:
    from batcher.store.disk_check import measure

    disk = measure(folder)
    if disk.trouble:
        yield Check("disk", "bad", disk.trouble, "Fix the permissions, or put run directories elsewhere with -o.")
        return
    times = f"fsync {disk.fsync * 1000:.1f} ms, rename {disk.rename * 1000:.1f} ms, {show_bytes(disk.free)} free"
    if disk.free < LEAST_FREE:
        yield Check("disk", "warn", times, "Free some space: a full disk stops a run. It can be resumed.")
    elif disk.fsync > SLOW_FSYNC:
        yield Check("disk", "warn", f"{times}: slow", "Put run directories on a local disk with -o.")
    else:
        yield Check("disk", "ok", times)
    if not disk.locks:
        fix = "Never start two runs in one run directory here, or use a file system with locks."
        yield Check("locks", "bad", "a held file lock can be taken a second time", fix)
    if disk.folds_case:
        yield Check("names", "ok", "this disk ignores upper and lower case in names; batcher keeps such names apart")


def _fonts() -> Check:
    from importlib.metadata import PackageNotFoundError, version

    from batcher.manifest.extras import EXTRAS, install_command

    try:
        for name in EXTRAS["grid"]:
            version(name)
    except PackageNotFoundError:
        what = "Latin, Greek, Cyrillic, Arabic and Hebrew come with batcher; others are taken from the system"
        return Check("fonts", "ok", what, f"For Chinese, Japanese, Korean and more: `{install_command('grid')}`")
    return Check("fonts", "ok", "contact sheets can show Chinese, Japanese, Korean, Devanagari and Thai too")


def _service(given: dict[str, Any]) -> Iterator[Check]:
    from batcher.client.account import probe
    from batcher.client.token import base_url, find_token
    from batcher.commands import loop

    address = base_url(given["base_url"])
    try:
        token = find_token(given["token_file"])
    except BatcherError as error:
        yield Check("token", "bad", error.message, " ".join(error.hint.split("\n")[:1]))
        yield Check("service", "warn", f"{address}: not checked, because there is no token")
        return
    try:
        seen = loop.run(probe(address, token.value))
    except BatcherError as error:
        yield Check("service", "bad", error.message, error.hint)
        return
    place = f"from {token.origin}"
    if seen.accepted:
        balance = "" if seen.balance is None else f", balance ${seen.balance:,.2f}"
        empty = seen.balance is not None and seen.balance <= 0
        fix = "Add to the balance of your account before you run." if empty else token.warning
        yield Check("token", "warn" if fix else "ok", f"{place}, accepted{balance}", fix)
    elif seen.accepted is None:
        yield Check("token", "warn", f"{place}, not known to be accepted")
    else:
        fix = "Make a new token on RunComfy's Profile page; a new one ends the old one."
        yield Check("token", "bad", f"{place}, refused: {seen.trouble}", fix)
    yield from _reached(address, seen)


def _reached(address: str, seen: Any) -> Iterator[Check]:
    if not seen.reachable:
        yield Check("service", "bad", f"{address} does not answer: {seen.trouble}", "Check the network and --base-url.")
        return
    kind = ", a simulator" if seen.simulated else ""
    if seen.accepted is None:
        yield Check("service", "bad", f"{address}: {seen.trouble}", "Wait, or check --base-url.")
    else:
        yield Check("service", "ok", f"{address} answers in {seen.seconds * 1000:.0f} ms{kind}")
    if seen.skew is None:
        return
    off = f"{abs(seen.skew):.0f} s {'ahead of' if seen.skew > 0 else 'behind'} the service's"
    if abs(seen.skew) > MOST_SKEW:
        yield Check("clock", "warn", off, "Set this machine's clock: --deadline and times in records go by it.")
    else:
        yield Check("clock", "ok", "as the service's" if abs(seen.skew) < 2 else off)


def _run(folder: Path) -> Iterator[Check]:
    """What in the run needs a decision, each with the command for it."""
    from batcher.store import connect_to_read, is_going, reading

    with closing(connect_to_read(folder)) as connection:
        counts = reading.counts(connection)
        by_state = reading.by_state(connection)
        going = is_going(connection, folder)
        odd = reading.images(connection)[2]
        causes = [group for group in reading.failures(connection) if group.state is State.FAILED]
    left = counts.total - counts.done - counts.failed - counts.in_doubt - counts.cancelled
    if counts.in_doubt:
        fix = f"Read `batcher help troubles`, then: {command_line('retry', folder, '--state', 'in_doubt', '--dry-run')}"
        yield Check("run", "bad", _jobs(counts.in_doubt, "in doubt, perhaps charged"), fix)
    for group in causes:
        fix = command_line("retry", folder, "--cause", group.cause.kind)
        if group.cause.kind in {"content_policy", "invalid_input"}:
            fix = "Reword the prompts, then run again: a retry would send the same again."
        yield Check("run", "bad", f"{_jobs(group.count, 'failed')}: {group.cause}", fix)
    if by_state.get(State.CANCELLED):
        fix = command_line("retry", folder, "--state", "cancelled")
        yield Check("run", "warn", _jobs(by_state[State.CANCELLED], "cancelled"), fix)
    if odd:
        what = show_count(odd, "image looks wrong", "images look wrong")
        yield Check("run", "warn", what, f"{command_line('grid', folder)} shows them.")
    if left > 0 and not going:
        yield Check("run", "warn", _jobs(left, "left, and no run is going"), command_line("run", folder))
    if left > 0 and going:
        yield Check("run", "ok", f"going: {counts.done:,} of {counts.total:,} done")
    if counts.done == counts.total:
        yield Check("run", "ok", "every job is done" if counts.total == 1 else f"all {counts.total:,} jobs are done")


def _jobs(count: int, words: str) -> str:
    return f"{show_count(count, 'job')} {words}"
