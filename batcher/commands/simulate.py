"""``batcher simulate``: the simulated service in a terminal of its own, until Ctrl-C."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.core.units import show_count

if TYPE_CHECKING:  # the simulator brings aiohttp and Pillow along, which other commands need not wait for
    from batcher.simulator import Address, Profile

_EXAMPLES = """\b
Examples:
  batcher simulate
  batcher simulate --latency 20-60 --slots 50 --rate-limit 5
  batcher simulate --fail 0.05 --fault submit:drop_after:0.01
  batcher simulate --profile samples/simulator.yaml --journal service.jsonl
"""


@click.command(epilog=_EXAMPLES, short_help="Serve a local simulator of the Model API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one.")
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings, YAML.")
@click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="Remember requests over restarts.")
@click.option("--latency", metavar="SECONDS|LOW-HIGH", help="How long a job takes: 2.5, or 20-60.")
@click.option("--slots", type=click.IntRange(1), metavar="N", help="Jobs that run at once; the rest wait in line.")
@click.option("--rate-limit", type=float, metavar="R", help="Submits accepted per second; the rest get a 429.")
@click.option("--retry-after", type=click.Choice(["none", "seconds", "date"]), help="Form of Retry-After in a 429.")
@click.option("--price", type=float, metavar="USD", help="Price of one image.")
@click.option("--balance", type=float, metavar="USD", help="Account balance; submits beyond it are refused.")
@click.option("--fail", type=click.FloatRange(0, 1), metavar="P", help="Share of jobs that fail.")
@click.option("--fault", "faults", multiple=True, metavar="WHERE:KIND[:P]", help="A fault and its share; repeatable.")
@click.option("--list-faults", is_flag=True, help="Name every fault and what it does, and stop.")
@click.option("--seed", type=int, metavar="N", help="Random seed: the same seed, the same faults.")
def simulate(
    host: str,
    port: int,
    profile_file: Path | None,
    journal: Path | None,
    fail: float | None,
    faults: Sequence[str],
    list_faults: bool,
    **settings: Any,
) -> None:
    """Serve a RunComfy Model API that costs nothing, on this machine.

    It takes any token, makes small images stamped SIMULATED, and counts requests at /_simulator/stats.
    Flags win over --profile.
    """
    if list_faults:
        click.echo(_list_of_faults())
        return
    profile = _profile(profile_file, fail, faults, settings)
    click.echo(_summary(_serve(profile, host, port, journal)))


def _profile(file: Path | None, fail: float | None, faults: Sequence[str], settings: dict[str, Any]) -> "Profile":
    from batcher.simulator import Fault, Profile, ProfileError

    try:
        profile = Profile.load(file) if file else Profile()
        given = {key: value for key, value in settings.items() if value is not None}
        share = [Fault(where="result", kind="failed", probability=fail)] if fail else []
        return profile.merged({**given, "faults": [*profile.faults, *share, *faults]})
    except ProfileError as error:
        raise click.UsageError(str(error)) from error


def _serve(profile: "Profile", host: str, port: int, journal: Path | None) -> dict[str, Any]:
    """Serve until Ctrl-C. Returns the counts."""
    from batcher.simulator.journal import JournalError
    from batcher.simulator.process import serve_until_stopped

    try:
        return serve_until_stopped(
            profile, host, port, journal=journal, announce=lambda address: click.echo(_welcome(address))
        )
    except (OSError, JournalError) as error:
        raise click.UsageError(f"can't serve at {host}:{port}: {error}") from error


def _welcome(address: "Address") -> str:
    return (
        f"Simulated Model API at {address.base_url}\n"
        "Run against it, with any token:\n"
        f"  export RUNCOMFY_TOKEN=any\n"
        f"  batcher run prompts.txt --base-url {address.base_url} \\\n"
        f"    --trust-host {address.host}\n"
        "Counts of requests, as JSON:\n"
        f"  {address.origin}/_simulator/stats\n"
        "Ctrl-C stops it."
    )


def _summary(stats: dict[str, Any]) -> str:
    jobs, ended = stats["submits_accepted"], ("finished", "failed", "cancelled")
    lines = [
        f"\n{show_count(jobs, 'job')} accepted: {', '.join(f'{stats[state]:,} {state}' for state in ended)}.",
        f"{stats['charged']:,} charged, ${stats['charged_usd']:,.2f} (not real).",
        f"{show_count(stats['files'], 'file')} fetched.",
        f"{show_count(stats['refused'], 'call')} refused (429).",
    ]
    if stats["charges_per_input"]["max"] > 1:
        lines.append(f"Some inputs were charged more than once, up to {stats['charges_per_input']['max']} times.")
    if stats["token_leaks"]:
        lines.append(f"The token came {show_count(stats['token_leaks'], 'time')} to a host that must never see it.")
    if stats["faults"]:
        lines.append("Faults: " + ", ".join(f"{name} {times:,}" for name, times in stats["faults"].items()) + ".")
    return "\n".join(lines)


def _list_of_faults() -> str:
    from batcher.simulator.faults import PLACES, kinds

    return "\n".join(f"{place}:{kind:<16} {words}" for place in PLACES for kind, words in kinds(place).items())
