"""``batcher plan``: everything is checked and counted, nothing is spent."""

import re
from typing import Any

import click

from batcher.commands.options import collect, manifest_options, run_options, service_options
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.recorded import TakesRun
from batcher.commands.values import complete_file
from batcher.core.folding import cut
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes, show_count, show_duration, show_rate, show_usd

SHOWN_GROUPS = 20


@click.command(
    cls=TakesRun,
    epilog="""\b
Examples:
  batcher plan jobs/aspect_sweep.yaml
  batcher plan prompts.csv --matrix seed=1..20 --price 0.02 --json""",
)
@click.argument("manifest", shell_complete=complete_file)
@manifest_options
@run_options
@service_options
@json_option
def plan(as_json: bool, **given: Any) -> int:
    """Check the whole MANIFEST, and say what a run would make, what it would cost and how long. Spends nothing.

    If the run directory exists, also say which jobs are new, unchanged or no longer in the manifest.
    """
    from batcher.commands import loop
    from batcher.runner.planning import plan as make
    from batcher.runner.progress import listener

    facts = loop.run(make(collect(given), listener("none")))
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _words(facts: dict[str, Any]) -> str:
    from batcher.manifest.totals import columns_in_words

    shard = f", shard {facts['shard']}" if "shard" in facts else ""
    lines = [f"{facts['manifest']}{shard}: {_jobs(facts)}"]
    if facts["jobs_without_limit"] is None:
        lines[0] += " (there are more without --limit)"
    elif facts["jobs"] != facts["jobs_without_limit"]:
        lines[0] += f" (of {facts['jobs_without_limit']:,} {'in all shards' if shard else 'without --limit'})"
    lines.append(f"model {facts['model']}")
    if facts["groups"]:
        lines += _groups(facts["groups"])
    else:
        lines += [_axis(name, counts) for name, counts in facts["axes"].items()]
    lines += [f"  {line}" for line in columns_in_words(facts["columns"])]
    lines += ["", "First jobs:", *(_job(job, facts["prompt_input"]) for job in facts["first"])]
    lines += ["", *_against(facts), *_estimate(facts)]
    lines += [facts["missing"]] if facts["missing"] else []
    lines += [f"warning: {warning}" for warning in facts["warnings"]]
    return "\n".join(lines)


def _groups(groups: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, group in list(groups.items())[:SHOWN_GROUPS]:
        cost = "" if group["cost_usd"] is None else f", {show_usd(group['cost_usd'])}"
        lines += [f"  group {name}: {_jobs(group)}, {group['to_submit']:,} to submit{cost}"]
        lines += [f"  {_axis(axis, counts)}" for axis, counts in group["axes"].items()]
    more = len(groups) - SHOWN_GROUPS
    return [*lines, f"  ... {show_count(more, 'more group')} (--json has all)"] if more > 0 else lines


def _jobs(part: dict[str, Any]) -> str:
    """Jobs and prompts of the manifest or a group; also the texts, if variants and vars make several of one."""
    texts = f" ({show_count(part['texts'], 'text')})" if part["texts"] != part["prompts"] else ""
    return f"{show_count(part['jobs'], 'job')} from {show_count(part['prompts'], 'prompt')}{texts}"


def _axis(name: str, counts: dict[str, int]) -> str:
    shown = ", ".join(f"{cut(one_line(value, 200), 40)} ({count:,})" for value, count in list(counts.items())[:6])
    more = f", ... {len(counts):,} values" if len(counts) > 6 else ""
    return f"  {name}: {shown}{more}"


def _job(job: dict[str, Any], prompt_input: str | None) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in job["inputs"].items() if name != prompt_input)
    rest = re.sub("(sha256:[0-9a-f]{8})[0-9a-f]{56}", r"\1", rest)
    prompt = cut(one_line(str(job["inputs"].get(prompt_input, ""))), 60)
    return f"  {job['path']}\n      {prompt!r}" + (f"\n      {cut(one_line(rest), 70)}" if rest else "")


def _against(facts: dict[str, Any]) -> list[str]:
    against = facts["against"]
    if against is None:
        return [f"New run directory: {facts['run']}"]
    states = ", ".join(
        f"{against[name]:,} {name.replace('_', ' ')}"
        for name in ("done", "at_service", "pending", "failed", "in_doubt", "cancelled")
        if against[name]
    )
    unchanged = f"{against['unchanged']:,} unchanged" + (f" ({states})" if states else "")
    return [
        f"Against {facts['run']}: {against['new']:,} new, {unchanged}, {against['gone']:,} removed from the manifest"
    ]


def _inputs(media: dict[str, Any]) -> str:
    files = f"Inputs: {show_count(media['files'], 'file')}, {show_bytes(media['bytes'])}"
    if not media["to_upload"]:
        return files
    return f"{files}; {media['to_upload']:,} ({show_bytes(media['bytes_to_upload'])}) to upload to {media['place']}"


def _estimate(facts: dict[str, Any]) -> list[str]:
    if facts["cost_usd"] is None:
        cost = "unknown: no price is known for this model; set it with --price USD"
    else:
        jobs = show_count(facts["to_submit"], "job")
        cost = f"{show_usd(facts['cost_usd'])} ({jobs}, {show_usd(facts['price_usd'])} an image)"
        if facts["cost_with_retries_usd"] > facts["cost_usd"]:
            cost += f"; up to {show_usd(facts['cost_with_retries_usd'])} if failed jobs are charged and retried"
    media = facts.get("media")
    lines = [
        *([_inputs(media)] if media else []),
        f"To submit: {facts['to_submit']:,}",
        f"Cost: {cost}",
        f"Time: at least {show_duration(facts['seconds_at_rate'])} at {show_rate(facts['rate'])}",
        f"Disk: about {show_bytes(facts['bytes'])} of {show_bytes(facts['bytes_free'])} free",
    ]
    if facts["budget_usd"] is not None:
        lines.append(f"Budget: {show_usd(facts['budget_usd'])}, over the life of the run directory")
    return lines
