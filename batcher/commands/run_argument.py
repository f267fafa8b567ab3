"""The RUN argument of a command: a run directory, its short name, its manifest, or nothing for the newest run."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.core.suggest import nearest

F = TypeVar("F", bound=Callable[..., Any])

RUNS = Path("runs")  # where `batcher run` makes run directories
STATE = "state.db"


def runs_named(names: Iterable[str]) -> tuple[Path, ...]:
    """``run_named`` for each. Raises UsageError for one that does not exist."""
    return tuple(map(_there, names))


def newest_run_noted() -> Path:
    """The newest run, with a note on standard error. Raises UsageError if there is none."""
    newest = newest_run()
    click.echo(f"RUN not given: using {newest}, the newest run.", err=True)
    return newest


def run_named(name: str) -> Path:
    """The run directory for a path, a name below ``runs/``, or the manifest of a run there.

    Any other text is returned as a path, for the command to refuse or repair.
    """
    path = Path(name)
    if is_run(path):
        return path
    for other in (RUNS / name, RUNS / path.stem):
        if is_run(other) and (other.name == name or os.path.isfile(name)):  # noqa: PTH113  any text is answered
            return other
    return path


def _there(name: str) -> Path:
    run = run_named(name)
    try:
        os.lstat(run)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: not a path
        raise _no_such_run(name) from None
    return run


def _no_such_run(name: str) -> UsageError:
    near = nearest(Path(name).name, [run.name for run in runs_here()])
    guess = f"Did you mean {RUNS / near}? " if near else ""
    return UsageError(
        f"{one_line(name, 200)} is not a run directory: there is no such folder",
        hint=f"{guess}`batcher status` lists the runs below {RUNS}/; `batcher run` makes one.",
    )


def newest_run() -> Path:
    """The run below ``runs/`` whose state file was written last. Raises UsageError if there is none."""
    if runs := runs_here():
        return runs[0]
    raise UsageError(
        f"there is no run below {RUNS}/ to take",
        hint="Name a run directory, or start a run: batcher run jobs/quickstart.yaml --simulate",
    )


def runs_here() -> list[Path]:
    """The run directories below ``runs/``, the newest first."""
    try:
        runs = [(_written(path), path) for path in RUNS.iterdir() if is_run(path)]
    except OSError:
        return []
    return [path for _, path in sorted(runs, reverse=True)]


def is_run(path: Path) -> bool:
    """Whether the folder has a state file. False also if it can't be read."""
    try:
        return (path / STATE).is_file()
    except (OSError, ValueError):
        return False


def _written(run: Path) -> float:
    """When the state file was last written; its journal may be newer than the file."""
    times = []
    for name in (STATE, f"{STATE}-wal"):
        try:
            times.append((run / name).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Run directories for a shell: those below ``runs/`` first, and any folder."""
    runs = [CompletionItem(str(path)) for path in runs_here() if str(path).startswith(incomplete)]
    return runs or [CompletionItem(incomplete, type="dir")]


def _argument(name: str, metavar: str, resolved: Callable[[Any], Any], nargs: int = 1) -> Callable[[F], F]:
    """A decorator that gives a command its run directory, or a tuple of several. resolved: paths of what was typed."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:  # noqa: ARG001  click's
        return value if ctx.resilient_parsing else resolved(value)

    return click.argument(
        name, metavar=metavar, nargs=nargs, required=False, callback=callback, shell_complete=complete_runs
    )


# Without RUN: the newest run, with a note; or nothing, which means no run, or all runs.
run_argument = _argument("run_dir", "[RUN]", lambda given: _there(given) if given else newest_run_noted())
optional_run_argument = _argument("run_dir", "[RUN]", lambda given: _there(given) if given else None)
runs_argument = _argument("run_dirs", "[RUN]...", lambda given: runs_named(given) or (newest_run_noted(),), nargs=-1)
optional_runs_argument = _argument("run_dirs", "[RUN]...", runs_named, nargs=-1)
