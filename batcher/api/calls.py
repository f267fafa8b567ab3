"""The four functions of ``import batcher``: run, start, plan, open."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from batcher.api.going import GoingRun
from batcher.api.loops import in_thread
from batcher.api.manifests import DEFAULT_RUN, from_python, is_path
from batcher.api.options import is_run, options_of, path_in, recorded, texts_of
from batcher.api.run import Run
from batcher.api.shown import Quiet
from batcher.api.values import Plan, Report
from batcher.core.errors import UsageError
from batcher.runner import planning
from batcher.runner.service import Options
from batcher.runner.watchers.watching import Watch

Out = str | PathLike[str] | None


def run(manifest: Any, *, out: Out = None, simulate: bool = False, **options: Any) -> Report:
    """Make the images of a manifest, and wait until the end. The same call is the resume.

    manifest: a path (of a run directory too, which is resumed), a dict with the YAML's keys, a list of dicts or texts,
    or a table with rows (pandas, polars, datasets). out: the run directory. simulate: no account, no cost. options: the
    flags of ``batcher run`` by name, as Python values or as their texts: ``rate="5/s"``, ``budget=25``,
    ``matrix={"seed": range(4)}``, ``set={"aspect_ratio": "16:9"}``, ``limit=10``.

    Failed jobs are counted in the report. Raises ManifestError, UsageError, AccountError, ServiceError, DiskError or
    BusyError when the run could not begin; then nothing was submitted. After a Ctrl-C KeyboardInterrupt is raised when
    everything under way is saved; nothing is lost.

    >>> report = batcher.run(["a red kite"], out="runs/kite", simulate=True)
    >>> report.done, report.exit_code
    (1, 0)
    """
    with start(manifest, out=out, simulate=simulate, **options) as going:
        for _ in going:
            pass
    assert going.report is not None
    return going.report


def start(manifest: Any, *, out: Out = None, simulate: bool = False, **options: Any) -> GoingRun:
    """The same as ``run``, with each result as it comes. Enter it: ``async with``, or ``with`` without a loop.

    >>> async def main():
    ...     async with batcher.start(["a blue kite"], out="runs/blue", budget=5, simulate=True) as run:
    ...         async for result in run:
    ...             if isinstance(result, batcher.Image):
    ...                 print(result.prompt, result.cost_usd)
    >>> asyncio.run(main())
    a blue kite 0.02
    """
    _require_utf8_names()
    texts, out = texts_of({**options, "simulate": simulate}), _text(out)
    run_dir = manifest if is_run(manifest) else out if out is not None or is_path(manifest) else DEFAULT_RUN
    watch = partial(Watch, texts.get("log"), texts.get("metrics"), texts.get("on_end"), run=_text(run_dir) or "")
    return GoingRun(_placed(manifest, out, texts), watch)


def plan(manifest: Any, *, out: Out = None, simulate: bool = False, **options: Any) -> Plan:
    """What ``run`` would do with the same arguments, and its cost. Spends and makes nothing. Raises as ``run`` does.

    >>> batcher.plan(["a red kite"], matrix={"seed": [1, 2]}, simulate=True).jobs
    2
    """
    texts, out = texts_of({**options, "simulate": simulate}), _text(out)

    def made() -> dict[str, Any]:
        with _aside(manifest, out, texts) as (given, content):
            return asyncio.run(planning.plan(given, Quiet(), content))

    return Plan.of(in_thread(made))


def open(path: str | PathLike[str] | Iterable[str | PathLike[str]]) -> Run:  # noqa: A001  read with its module
    """A run directory, to look at and to change. Works beside a going run and long after; no service is needed.

    Several of them, such as the shards of a manifest, are read and exported as one. Raises UsageError for a path that
    is not a run directory, and for an empty list.

    >>> batcher.open("runs/kite").status().done
    1
    """
    paths = [path] if isinstance(path, (str, PathLike)) else list(path)
    if not paths:
        raise UsageError("no run directory is given", hint="Give one, or a list of them.")
    return Run(*map(Path, paths))


def _require_utf8_names() -> None:
    """Raises UsageError. The command restarts itself in UTF-8 mode; the caller's process can't be restarted."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise UsageError(
            f"this Python writes names of files in {encoding}, and images may be named after prompts in any script",
            hint="Start it with PYTHONUTF8=1 or `python -X utf8`. Nothing was submitted.",
        )


def _placed(manifest: Any, out: Out, texts: dict[str, Any]) -> Callable[[], Any]:
    """A context manager that writes the manifest into the run directory and gives the options.

    Raises ManifestError, UsageError at once, before it is entered.
    """
    if is_run(manifest):
        return partial(nullcontext, _resumed(Path(manifest), out, texts))
    memory = from_python(manifest)
    if memory is None:
        return partial(nullcontext, options_of(path_in("manifest", manifest), _text(out), texts))
    run_dir = DEFAULT_RUN if out is None else Path(out)

    @contextmanager
    def placed() -> Iterator[Options]:
        with memory.placed(run_dir) as path:
            yield options_of(path, str(run_dir), texts)

    return placed


@contextmanager
def _aside(manifest: Any, out: Out, texts: dict[str, Any]) -> Iterator[tuple[Options, Path | None]]:
    """The options, and the temporary file of a manifest from memory (None for a path)."""
    memory = None if is_run(manifest) else from_python(manifest)
    if memory is None:
        with _placed(manifest, out, texts)() as options:
            yield options, None
        return
    run_dir = DEFAULT_RUN if out is None else Path(out)
    with memory.aside(run_dir) as content:
        yield options_of(str(run_dir / memory.name), str(run_dir), texts), content


def _resumed(run_dir: Path, out: Out, texts: dict[str, Any]) -> Options:
    if out is not None and Path(out) != run_dir:
        raise UsageError(f"{run_dir} is resumed where it is", hint="Remove out=, or give the manifest.")
    manifest, options = recorded(run_dir)
    return options_of(manifest, str(run_dir), {**options, **texts})


def _text(out: Any) -> str | None:
    return None if out is None else path_in("out", out)
