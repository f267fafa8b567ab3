"""What the user can change on the page, with the code of the commands. Only ``retry`` writes to the state file.

``body`` is the JSON object of a request. Answers are JSON data.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.errors import UsageError
from batcher.core.job import MISSING, RETRIED
from batcher.core.units import show_count
from batcher.export import TARGETS
from batcher.export.more import add, plan_more
from batcher.runner import tuning
from batcher.runner.control import BACK
from batcher.runner.reopening import Reopen, reopen, words
from batcher.store import picks
from batcher.store.joined import runs_of
from batcher.view.run_reader import RunReader, wire

_MOST_VERDICTS = 10_000  # in one request
_MOST_TEXT = 2_000  # characters of a note
_SETS = Path("sets")  # where exports from the page go
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


def pick(reader: RunReader, body: Mapping[str, Any]) -> dict[str, Any]:
    """Write verdicts. Those of a request have the form of ``picks.jsonl``; the state file adds the image's digest.

    Raises UsageError and DiskError; then none is written.
    """
    given = body.get("verdicts")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_VERDICTS:
        raise UsageError(f"`verdicts` is a list of 1 to {_MOST_VERDICTS:,}")
    verdicts = [picks.verdict_of(one) if isinstance(one, dict) else None for one in given]
    whole = [verdict for verdict in verdicts if verdict is not None and _is_short(verdict)]
    if len(whole) != len(given):
        raise UsageError("a verdict has `job`, `pick` (yes, no, null), `stars` (0 to 5), `tags`, `note`")
    shas = reader.shas([(verdict.job, verdict.output_index) for verdict in whole])
    for verdict in whole:
        if (verdict.job, verdict.output_index) not in shas and not verdict.is_empty:
            raise UsageError(f"there is no image {verdict.output_index} of job {verdict.job[:40]}")
    stamped = [
        replace(verdict, sha256=shas.get((verdict.job, verdict.output_index)), at="", by="") for verdict in whole
    ]
    return {"picks": [wire(verdict) for verdict in reader.append(stamped)]}


def undo(reader: RunReader, _body: Mapping[str, Any]) -> dict[str, Any]:
    """Undo the last verdicts of this user; does nothing if none are left. Raises DiskError."""
    steps = picks.steps(reader.lines(), picks.whoami())
    before = [replace(verdict, at="", by="", undo=True) for verdict in (steps[-1] if steps else [])]
    return {"picks": [wire(verdict) for verdict in reader.append(before)]}


def _is_short(verdict: picks.Verdict) -> bool:
    return (
        len(verdict.note or "") <= _MOST_TEXT and len(verdict.tags) <= 50 and all(len(t) <= 100 for t in verdict.tags)
    )


def tune(reader: RunReader, body: Mapping[str, Any]) -> dict[str, Any]:
    """``batcher tune``. body: the texts of its flags; null for what the command of the run says. Raises UsageError.

    The answer has the new numbers of the run in ``facts``.
    """
    _alone(reader.run_dir, "what `tune` changes")
    texts, switches = {"rate", "in_flight", "downloads", "budget", "deadline"}, {"pause", "resume", "drain"}
    given: dict[str, Any] = {}
    for name, value in body.items():
        if name in texts and (value is None or isinstance(value, str)):
            given[name] = BACK if value is None else value
        elif (name in switches and isinstance(value, bool)) or (name == "reason" and isinstance(value, str)):
            given[name] = value
        else:
            raise UsageError(f"{name!r:.60} can't be changed here")
    return {**tuning.tune(reader.run_dir, **given), "facts": reader.facts()}


def more(run_dir: Path, body: Mapping[str, Any]) -> dict[str, Any]:
    """``batcher more``. With ``dry_run`` it gives the number of jobs and the cost. Raises UsageError, DiskError."""
    _alone(run_dir, "asking for more seeds")
    seeds, where = body.get("seeds"), body.get("where")
    if type(seeds) is not int or not (where is None or isinstance(where, str)):
        raise UsageError("`seeds` is a number, `where` an expression")
    plan = plan_more(run_dir, seeds, where)
    done = body.get("dry_run") is False
    if done:
        add(run_dir, plan)
    line = command_line("more", run_dir, "--seeds", seeds, *(("--where", where) if where else ()))
    return {
        **plan.as_json(run_dir),
        "added": done,
        "words": plan.words(added=done),
        "command": line,
        "nothing": not plan.jobs,
    }


def retry(reader: RunReader, body: Mapping[str, Any]) -> dict[str, Any]:
    """``batcher retry``, in each run that the page shows. Raises UsageError.

    With ``dry_run`` it only gives the jobs and what they may cost.
    """
    runs = runs_of(reader.run_dir)
    if reader.twice:
        raise UsageError(
            f"{show_count(reader.twice, 'job is', 'jobs are')} in more than one of these runs: a retry here could pay"
            " for the same job twice",
            hint=f"Retry in one run: {command_line('view', runs[0])}",
        )
    states, causes, keys = (_texts(body, name) for name in ("states", "causes", "keys"))
    if not states or not set(states) <= {*RETRIED, MISSING}:
        raise UsageError(f"`states` are some of {', '.join((*RETRIED, MISSING))}")
    done, resubmit = body.get("dry_run") is False, body.get("resubmit") is True
    order = Reopen(states=states, causes=causes, jobs=keys, resubmit=resubmit, dry_run=not done)
    parts = [reopen(run, order) for run in runs]
    costs = [part["may_cost_usd"] for part in parts if part["reopened"]]
    facts = {
        **parts[0], **{name: sum(part[name] for part in parts) for name in ("reopened", "collected_again")},
        **{name: [one for part in parts for one in part[name]] for name in ("reopened_first", "collected_first")},
        "may_cost_usd": None if None in costs else round(sum(costs), 6),
    }  # fmt: skip
    which = [("--state", one) for one in states if one != "failed"]
    which += [("--cause", one) for one in causes] + [("--job", one) for one in keys]
    words_of = [word for pair in which for word in pair] + ["--resubmit"] * resubmit
    some = [run for run, part in zip(runs, parts, strict=True) if part["reopened"] or part["collected_again"]]
    line = " && ".join(command_line("retry", run, *words_of) for run in some or runs)
    return {**facts, "words": words(facts) or ["Nothing to reopen."], "command": line, "nothing": not some}


def export(run_dir: Path, body: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``batcher export`` to a folder below ``sets/`` in the working directory. Raises UsageError.

    With ``dry_run`` it only gives the command line, which can be changed to export to another folder.
    """
    name, to, where = body.get("name"), body.get("to"), body.get("where")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError("a name is letters, digits, spaces, dots, dashes", hint="The command line takes any folder.")
    if to not in TARGETS or not (where is None or isinstance(where, str)):
        raise UsageError(f"`to` is one of {', '.join(TARGETS)}")
    which = ("--where", where) if where and to != "pairs" else ()  # pairs are of picked and rejected
    line = command_line("export", *runs_of(run_dir), _SETS / name, "--to", to, *which)
    if body.get("dry_run") is True:
        return {"words": [], "command": line, "nothing": False}
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", *shlex.split(line)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    output = f"{done.stdout}{done.stderr}"[-4_000:]
    return {"exit_code": done.returncode, "output": output, "words": [output], "command": line}


def _alone(run_dir: Path, what: str) -> None:
    """Raises UsageError if the page shows several runs as one. what: what needs a single run."""
    runs = runs_of(run_dir)
    if len(runs) > 1:
        raise UsageError(
            f"this page shows {len(runs)} runs as one, and {what} belongs to one run",
            hint=f"Open it by itself: {command_line('view', runs[0])}",
        )


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A field of a request that is a list of short texts. Raises UsageError."""
    texts = body.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and len(text) <= 200 for text in texts):
        raise UsageError(f"`{name}` is a list of texts")
    return tuple(texts)
