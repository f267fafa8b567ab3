"""``batcher.open``: a run directory, going or not, or several as one. No service is needed to look at it."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from batcher.api.loops import in_thread
from batcher.api.options import options_for, options_of, path_in, recorded, whole_number
from batcher.api.shown import Quiet
from batcher.api.values import THUMBNAILS, Failed, Image, Images, Plan, Report, failed_of, image_of_view, more_images
from batcher.core.errors import UsageError
from batcher.core.filter import IMAGE_FACTS, Filter
from batcher.core.job import MISSING, RETRIED, Counts, State
from batcher.export import TARGETS, picking
from batcher.export.exporting import export_to
from batcher.export.matching import matching_images
from batcher.export.more import add, plan_more
from batcher.export.request import Options
from batcher.runner import planning, report, standing
from batcher.runner.reopening import Reopen, reopen
from batcher.store import connect_to_read, is_going, reading
from batcher.store.joined import Joined, joined, whose
from batcher.store.prompts import Prompts
from batcher.upkeep import survey

_ENDED = (State.FAILED, State.IN_DOUBT, State.CANCELLED)


class Run:
    """A run directory, or several as one. Every call reads the disk again, so it works beside a going run.

    >>> kite = batcher.open("runs/kite")
    >>> kite.verify(), kite.failures(), kite.plan().to_submit
    ([], [], 0)
    >>> kite.pick('"red" in prompt', "yes")["written"]
    1
    """

    def __init__(self, *paths: Path) -> None:
        """paths: of run directories. Raises UsageError for any other folder."""
        self.paths = paths
        with self._whole():
            pass

    @property
    def path(self) -> Path:
        """The run directory. Raises UsageError if there are several; ``paths`` has them."""
        if len(self.paths) > 1:
            raise UsageError("this needs one run, and there are several", hint="Open one of them.")
        return self.paths[0]

    def __repr__(self) -> str:
        given = str(self.paths[0]) if len(self.paths) == 1 else [str(path) for path in self.paths]
        return f"batcher.open({given!r})"

    def _repr_html_(self) -> str:
        report, some = self.status(), self._images(None, THUMBNAILS)
        return report._repr_html_() + some._repr_html_() + more_images(report.images - len(some))

    @property
    def going(self) -> bool:
        """Whether a run is going there now."""
        for path in self.paths:
            with closing(connect_to_read(path)) as connection:
                if is_going(connection, path):
                    return True
        return False

    def status(self) -> Report:
        """Jobs, files and money as of now; the rest (``submits``, ``seconds``, ...) of the last run that ended.

        With several runs each job counts once, and the money is what all of them cost.
        """
        if len(self.paths) == 1:
            facts = {**self._last(), **standing.of(self.path)}
        else:
            with joined(self.paths) as whole:
                facts = standing.together(whole)
        counts = Counts(**{one.name: facts[one.name] for one in fields(Counts)})
        return Report.of({**facts, "exit_code": report.exit_code(counts, None)})

    def images(self, where: str | None = None) -> Images:
        """The finished images, in the order of the manifest.

        where: as ``--where`` of the commands: ``'seed < 10 and pick == "yes"'``. Raises UsageError if it is wrong.
        """
        return self._images(where, None)

    def _images(self, where: str | None, most: int | None) -> Images:
        if not isinstance(where, str | None):
            raise UsageError(f"where={where!r}: it must be a text", hint="Such as 'seed < 10 and pick is null'.")
        asked = Filter(where, IMAGE_FACTS)
        with self._whole() as (whole, connection):
            some = islice(matching_images(whole.path, connection, asked), most)
            homes = ((whose(whole.path, one.image.file), one) for one in some)
            return Images([image_of_view(path, file, one) for (path, file), one in homes])

    def failures(self) -> list[Failed]:
        """The jobs that failed, were cancelled or are in doubt, each with its cause."""
        with self._whole() as (whole, connection):
            prompts = Prompts(whole.path)
            return [failed_of(entry, prompts) for entry in reading.entries(connection, _ENDED, listed_only=True)]

    def plan(self) -> Plan:
        """What the command that made this run would still do, and its cost. Spends nothing."""
        manifest, texts = recorded(self.path)
        options = options_of(manifest, str(self.path), texts)
        return Plan.of(in_thread(lambda: asyncio.run(planning.plan(options, Quiet()))))

    def retry(
        self,
        state: str | Sequence[str] = "failed",
        *,
        cause: str | Sequence[str] = (),
        job: str | Sequence[str] = (),
        resubmit: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Reopen jobs, as ``batcher retry``. The next run submits them, which may cost again (``may_cost_usd``)."""
        which = Reopen(states=_list(state), causes=_list(cause), jobs=_list(job), resubmit=resubmit, dry_run=dry_run)
        for name in which.states:
            if name not in {*RETRIED, MISSING}:
                raise UsageError(f"no job is retried from {name!r}", hint="Use failed, cancelled, in_doubt or missing.")
        return reopen(self.path, which)

    def verify(self, *, check: str = "decode") -> list[dict[str, Any]]:
        """Read every file again. A dict for each thing that is wrong (``file``, ``kind``, ``message``, ...).

        ``file`` is relative to the run directory; with several runs each dict has its ``run``. check: ``decode`` or
        ``structure``.
        """
        if check not in {"decode", "structure"}:
            raise UsageError(f"check={check!r}: it must be decode or structure")
        findings = []
        for path in self.paths:
            checked = survey.check(path, depth=check)  # type: ignore[arg-type]
            which = {} if len(self.paths) == 1 else {"run": str(path)}
            findings += [{**which, **finding.as_json()} for finding in checked.findings]
        return findings

    def pick(self, where: str | Image | None, verdict: str | None = None, **more: Any) -> dict[str, Any]:
        """Write a verdict on images: ``"yes"``, ``"no"`` or ``"clear"``. Returns the counts of ``pick --json``.

        where: an expression, an image, or None for all. more: ``stars=0..5``, ``tags=[...]``; ``scores=FILE``,
        ``best=N``, ``by=COLUMN``, ``rest="no"`` as the command's flags.
        """
        if isinstance(where, Image):
            where = f'job == "{where.job}" and output_index == {where.output_index}'
        given = options_for("pick", picking.Picking, more, without={"where", "word"})
        if verdict not in {"yes", "no", "clear", None}:
            raise UsageError(f"{verdict!r} is not a verdict", hint='Use "yes", "no" or "clear".')
        return picking.pick(self.path, picking.Picking(where=where, word=verdict, **given))

    def more(self, seeds: int, where: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """Add drawn seeds to each group without a picked image, or with a job that matches ``where``.

        The same as ``batcher more``; the next run makes the images. Returns ``groups``, ``jobs``, ``cost_usd``,
        ``budget_left_usd`` and the rest of ``more --json``.
        """
        plan = plan_more(self.path, whole_number("seeds", seeds), where)
        if not dry_run:
            add(self.path, plan)
        return {**plan.as_json(self.path), "added": not dry_run}

    def export(self, folder: str | Path, to: str, *, replace: bool = False, **options: Any) -> dict[str, Any]:
        """Write the images as a dataset, as ``batcher export``. Call it again to add what is new.

        folder: a path, or a bucket (``s3://...``). to: imagefolder, webdataset, parquet, captions, ... options: the
        command's flags: ``where=``, ``split=``. Returns ``export --json``.
        """
        if to not in TARGETS:
            raise UsageError(f"no reader is called {to!r}", hint=f"Use {', '.join(TARGETS)}.")
        given = Options(to=to, **options_for("export", Options, options, without={"to"}))
        return export_to(self.paths, path_in("folder", folder), given, None, replace=replace)

    @contextmanager
    def _whole(self) -> Iterator[tuple[Joined, sqlite3.Connection]]:
        with joined(self.paths) as whole, closing(connect_to_read(whole.path)) as connection:
            yield whole, connection

    def _last(self) -> Mapping[str, Any]:
        try:
            facts: Mapping[str, Any] = json.loads((self.path / "report.json").read_text(encoding="utf-8"))
            Report.of({"run": "", **facts})
        except (OSError, ValueError, TypeError, msgspec.ValidationError):
            return {}
        return facts


def _list(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)
