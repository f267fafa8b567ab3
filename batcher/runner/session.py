"""The one composition of a run, from options to report: for commands, the Python API and tests.

``run`` locks the run directory and opens the service. ``Session.conduct`` then plans, drains and reports.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from batcher.client.catalogue import Offer, ask
from batcher.core.command_line import command_line
from batcher.core.control import Control
from batcher.core.errors import DiskError, TakenOver, UsageError
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.images import storage
from batcher.manifest import Loader
from batcher.manifest.totals import columns_in_words
from batcher.runner import records, report, report_words
from batcher.runner.control import control_now, read_control
from batcher.runner.controller import is_paused
from batcher.runner.engines import cluster
from batcher.runner.engines.opening import ray_crew
from batcher.runner.events import RunBegan, RunEnded, RunNamed
from batcher.runner.intake import media_inputs
from batcher.runner.intake.input_check import check_inputs
from batcher.runner.intake.manifest_jobs import Reading, plan_jobs
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.intake.remote_manifest import Remote, brought
from batcher.runner.progress import Progress, as_observer, listener
from batcher.runner.recovery import generation
from batcher.runner.run_context import RunContext, Surroundings
from batcher.runner.run_dir import (
    begin,
    check_room,
    gone_in_words,
    hold,
    images_folder,
    other_split,
    room_needed,
    same_service,
    same_shard,
    some_room,
    with_price,
)
from batcher.runner.service import SIMULATOR, Options, Service, read_manifest, run_dir_of, way_to
from batcher.runner.stop import Reason, Stop
from batcher.runner.work import drain
from batcher.store import STATE, RunFacts, StateFile, has_state, reading
from batcher.store.machine import check_memory, machine_problem

ALONE = Surroundings()


@dataclass(frozen=True, slots=True)
class Ended:
    """report: as ``report.json`` has it. summary: in words. stop: why it ended. context: None if it never began."""

    report: dict[str, Any]
    summary: str
    stop: Stop
    context: RunContext | None

    @property
    def exit_code(self) -> int:
        return int(self.report["exit_code"])

    @property
    def seconds(self) -> float:
        return float(self.report["seconds"])


async def run(options: Options, surroundings: Surroundings = ALONE, progress: Progress | None = None) -> Ended:
    """Run a manifest to its end. Raises BatcherError before anything is spent.

    progress: receives the progress; None: standard error, as in the settings.
    """
    check_memory()
    async with brought(options) as (kept, remote):
        return await _run(kept, remote, surroundings, progress)


async def _run(options: Options, remote: Remote | None, surroundings: Surroundings, progress: Progress | None) -> Ended:
    now = asyncio.get_running_loop().time
    started = now()
    loader, settings = read_manifest(options, None if remote is None else remote.path)
    with ExitStack() as held:
        held.callback(loader.close)
        if settings.engine == "ray" and surroundings.hire is ray_crew:
            cluster.address()  # raises before anything is created
        run_dir = run_dir_of(options, loader)
        surroundings.tell(RunNamed(run_dir=run_dir, at=surroundings.wall()))
        progress = listener(settings.progress) if progress is None else progress
        surroundings = replace(surroundings, observers=(*surroundings.observers, as_observer(progress)))
        held.enter_context(hold(run_dir))  # before anything else: two batchers at once would pay twice
        some_room(run_dir)
        images_folder(run_dir)
        if remote is not None:
            remote.keep(run_dir, surroundings)
        storage.claim(run_dir, options.images)
        if words := other_split(run_dir, options.shard):
            progress.say(f"warning: {words}")
        async with surroundings.open_service(options, run_dir, surroundings) as service:
            return await Session(
                loader, settings, options, run_dir, service, surroundings, lambda: now() - started
            ).conduct()


@dataclass(frozen=True, slots=True)
class _Read:
    """The manifest in the job table. offer: schema and price, with every warning. rows: what was read. media: None
    without input files. caution: a warning about the state file, or None. jobs: those within ``--limit``.
    """

    offer: Offer
    rows: Reading
    media: MediaInputs | None
    caution: str | None
    jobs: int

    @property
    def total(self) -> int:
        """Jobs of the whole manifest, as far as it was read."""
        whole = self.rows.planned.whole
        return self.jobs if whole is None else whole


@dataclass(slots=True)
class Session:
    """One start of a run, from an open manifest to its report.

    loader, settings: as ``service.read_manifest`` gives them. options: the command line. run_dir: locked.
    service: open. surroundings: what the caller provides; its observers include the progress. elapsed: returns the
    seconds since the start, for the report.
    """

    loader: Loader
    settings: Settings
    options: Options
    run_dir: Path
    service: Service
    surroundings: Surroundings
    elapsed: Callable[[], float]

    async def conduct(self) -> Ended:
        """Plan, drain and report. Raises BatcherError."""
        run_dir, wall = self.run_dir, self.surroundings.wall
        control = read_control(run_dir)
        with ExitStack() as held:
            beside, is_new = generation.read_beside(run_dir), not has_state(run_dir)
            state = held.enter_context(closing(StateFile(run_dir / STATE, is_new=is_new)))
            try:
                read = await self._read(state, control, beside)
            except BaseException:
                if is_new:
                    state.abandon()
                raise
            generation.take(state, run_dir, beside, wall())
            held.callback(generation.leave, run_dir)
            held.callback(state.close)  # runs before it: callbacks run in reverse order
            self._say_what_was_read(read)
            check_room(state, read.jobs, self.surroundings)
            budget = control.settings(self.settings).budget
            begin(state, lambda facts: self._recorded(facts, read, budget), self.settings, wall(), self.surroundings)
            stop, context = Stop(), None
            if is_paused(state, control, wall()):
                _stay_paused(state, control, stop)
            else:
                self._announce(read, control, budget)
                context = await drain(
                    state, self.service, read.offer, self.settings, control, stop, self.surroundings,
                    model=self.loader.model, total=read.total, limit=self._limit, media=read.media,
                )  # fmt: skip
            with _saying(context):
                _give_way(stop)
                ended = self._report(state, read, stop, context)
            self.surroundings.tell(RunEnded(report=ended.report, summary=ended.summary, at=wall()))
            return ended

    @property
    def _limit(self) -> int | None:
        return self.options.overrides.limit

    @property
    def _command(self) -> str:
        """To be typed again; ``--continue-copy`` is for one start, not for every resume."""
        return self.options.command.replace(f" {generation.FLAG}", "")

    async def _read(self, state: StateFile, control: Control, beside: generation.Beside) -> _Read:
        """Check the state file, read the manifest into it, check and upload the files that its jobs name.

        A new state file is put in its place once it has all jobs.
        """
        options, settings, api = self.options, self.settings, self.service.api
        generation.check_file(state, beside)
        offer = await self._offer(state, control)
        same_service(state, self.service)
        same_shard(state, options.shard)
        caution = generation.check(state, beside, go_on=options.continue_copy)
        place = media_inputs.place_of(options.media, self.loader)
        files = media_inputs.contents(state, place, self.surroundings)
        rows = plan_jobs(
            state, self.loader, offer.schema, limit=self._limit, progress=self.surroundings, run_dir=self.run_dir,
            shard=options.shard, contents=files,
        )  # fmt: skip
        state.put_in_place()
        is_simulator = self.service.name == SIMULATOR
        media = media_inputs.open_inputs(state, place, settings, api, is_simulator=is_simulator)
        which = "none" if is_simulator else settings.check_inputs
        warnings = (*await check_inputs(state.connection, offer.schema, which, self._limit), *files.warnings())
        if media is not None:
            await media.upload(state, self._limit, self.surroundings, try_one=settings.check_inputs != "none")
            warnings += media.warnings(self.surroundings.wall())
        offer = replace(offer, warnings=(*offer.warnings, *warnings))
        return _Read(offer, rows, media, caution, rows.planned.within(self._limit))

    async def _offer(self, state: StateFile, control: Control) -> Offer:
        settings = self.settings
        offer = await ask(self.service.api, self.loader.model, settings.price, unchecked=settings.no_schema_check)
        if offer.price is None:
            offer = replace(offer, price=state.facts.price_usd, fresh=False)
        if control.settings(settings).budget is not None and offer.price is None:
            raise UsageError(
                "a budget needs a price, and the catalogue gives none for this model",
                hint="Give the price of one image with --price USD.",
            )
        return offer

    def _say_what_was_read(self, read: _Read) -> None:
        planned, listed, totals = read.rows.planned, read.rows.listed, read.rows.totals
        for text in (*filter(None, [read.caution]), *planned.warnings, *read.offer.warnings):
            self.surroundings.say(f"warning: {text}")
        for line in columns_in_words(totals.columns) if totals is not None else ():
            self.surroundings.say(line, "columns")
        if listed is not None and listed.gone:
            self.surroundings.say(gone_in_words(listed.gone))

    def _recorded(self, facts: RunFacts, read: _Read, budget: float | None) -> RunFacts:
        """The recorded facts of the run, as of this start. budget: dollars, None for no budget."""
        loader, service, planned = self.loader, self.service, read.rows.planned
        shard = self.options.shard
        return replace(
            with_price(facts, read.offer, self.surroundings.wall()),
            service=service.name,
            base_url=None if service.name == SIMULATOR else service.api.base_url,
            simulated=bool(service.api.simulated),
            manifest=loader.source,
            manifest_path=way_to(loader, self.run_dir),
            piped=loader.piped,
            model=loader.model,
            total=planned.jobs if planned.whole is None else planned.whole,
            command=self._command,
            budget_usd=budget,
            shard=None if shard is None else str(shard),
        )

    def _announce(self, read: _Read, control: Control, budget: float | None) -> None:
        surroundings, loader = self.surroundings, self.loader
        if words := control.words():
            surroundings.say(f"as tuned: {words} (`{command_line('tune', self.run_dir)}` shows and changes it)")
        surroundings.tell(RunBegan(
                run_dir=self.run_dir, manifest=loader.source, model=loader.model, total=read.total,
                simulated=bool(self.service.api.simulated), at=surroundings.wall(), price_usd=read.offer.price,
                budget_usd=budget,
            ),
        )  # fmt: skip

    def _report(self, state: StateFile, read: _Read, stop: Stop, context: RunContext | None) -> Ended:
        """Write the files of the end, and record it. context: None if the run stayed paused."""
        generation.settle(state)
        whole = read.rows.planned.whole
        facts = report.Facts(
            run_dir=self.run_dir,
            total=read.total,
            limited=whole is None or read.jobs < whole,
            tally=Tally(reading.counts(state.connection), 0.0) if context is None else context.tally,
            seconds=self.elapsed(),
            ended=self.surroundings.wall(),
            simulated=bool(self.service.api.simulated),
            asked=None if context is None else context.flow.submits.ceiling,
            command=self._command,
            price=read.offer.price if context is None else context.money.budget.price,
        )
        built = report.build(state.connection, facts, stop)
        if not records.are_fresh(state):
            records.write(state, simulated=facts.simulated, progress=self.surroundings)
        _record_end(state, built)
        report.write(self.run_dir, built)
        as_json = to_builtins(built)
        words = report_words.summary(
            as_json, stop, facts.tally.warnings, limited=facts.limited, piped=self.options.manifest == "-",
            needed=room_needed(state, read.jobs), control=control_now(self.run_dir),
        )  # fmt: skip
        lines = report_words.cancelled(facts.tally.cancelled)
        return Ended(as_json, "\n".join([*lines, *_untaken(context), words]), stop, context)


def _stay_paused(state: StateFile, control: Control, stop: Stop) -> None:
    why = f": {control.reason}" if control.reason else ""
    stop.request(Reason.PAUSED, f"the run is paused{why}")
    word = Reason.PAUSED.word
    state.must_commit(
        [lambda: state.change_facts(lambda facts: replace(facts, process=None, live=None, stopped_by=word))]
    )


def _give_way(stop: Stop) -> None:
    """Raises TakenOver if another batcher took over, as the report would describe its run."""
    if stop.reason is Reason.TAKEN:
        raise TakenOver(stop.message, hint=stop.hint)


@contextmanager
def _saying(context: RunContext | None) -> Iterator[None]:
    """On a disk failure, add request ids that no state file holds to the hint. Raises DiskError."""
    try:
        yield
    except Exception as error:
        if (problem := machine_problem(error)) is None:
            raise
        problem.hint = "\n".join([problem.hint, *_untaken(context)])
        raise problem from error


def _record_end(state: StateFile, built: report.Report) -> None:
    def end(before: RunFacts) -> RunFacts:
        succeeded_at = before.succeeded_at if built.exit_code else built.ended_at
        refused = before.refused + built.rate_limited
        return replace(before, refused=refused, ended=report.ended(built), succeeded_at=succeeded_at)

    with suppress(DiskError):  # the report has the same facts
        state.must_commit([lambda: state.change_facts(end)])


def _untaken(context: RunContext | None) -> list[str]:
    return [] if context is None else context.table.rescue.in_words()
