"""The one composition of a run, from options to report: for commands, the Python API and tests."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batcher.client.catalogue import Offer, ask
from batcher.core.command_line import command_line
from batcher.core.errors import DiskError, TakenOver, UsageError
from batcher.core.settings import Settings
from batcher.core.shard import Shard
from batcher.images import storage
from batcher.manifest import Loader
from batcher.manifest.totals import columns_in_words
from batcher.runner import records as tables
from batcher.runner import report, report_words
from batcher.runner.control import Control, control_now, read_control
from batcher.runner.controller import is_paused
from batcher.runner.engines import cluster
from batcher.runner.events import RunBegan, RunEnded, RunNamed
from batcher.runner.intake import media_inputs
from batcher.runner.intake.input_check import check_inputs
from batcher.runner.intake.manifest_jobs import Reading, plan_jobs
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.intake.remote_manifest import Remote, brought
from batcher.runner.progress import Heard, Progress, listener, observing
from batcher.runner.recovery import generation
from batcher.runner.run_context import RunContext
from batcher.runner.run_dir import (
    FactsChange,
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
from batcher.runner.service import SIMULATOR, Options, Service, open_service, read_manifest, run_dir_of, way_to
from batcher.runner.stop import Reason, Stop
from batcher.runner.work import Surroundings, drain
from batcher.store import STATE, RunFacts, StateFile, has_state, remove_state
from batcher.store.facts import Planned
from batcher.store.machine import check_memory, machine_problem

ALONE = Surroundings()


@dataclass(frozen=True, slots=True)
class Ended:
    """report: as ``report.json`` has it. summary: in words. stop: why it ended. context: None if it never began."""

    report: dict[str, Any]
    summary: str
    stop: Stop
    context: RunContext | None


async def run(
    options: Options, surroundings: Surroundings = ALONE, progress: Progress | None = None
) -> tuple[dict[str, Any], str]:
    """Run a manifest to its end. Returns report and summary. Raises BatcherError before anything is spent.

    progress: receives the progress; None: standard error, as in the settings.
    """
    check_memory()
    async with brought(options) as (kept, remote):
        return await _run(kept, remote, surroundings, progress)


async def _run(
    options: Options, remote: Remote | None, surroundings: Surroundings, progress: Progress | None
) -> tuple[dict[str, Any], str]:
    started = time.monotonic()
    loader, settings = read_manifest(options, None if remote is None else remote.path)
    with ExitStack() as held:
        held.callback(loader.close)
        if settings.engine == "ray":
            cluster.address()  # raises before anything is created
        run_dir = run_dir_of(options, loader)
        surroundings.tell(RunNamed(run_dir=run_dir, at=surroundings.wall()))
        progress = listener(settings.progress) if progress is None else progress
        heard = Heard(progress, surroundings.observers, surroundings.wall)
        held.enter_context(hold(run_dir))  # before anything else: two batchers at once would pay twice
        some_room(run_dir)
        images_folder(run_dir)
        if remote is not None:
            remote.keep(run_dir, heard)
        storage.claim(run_dir, options.images)
        if words := other_split(run_dir, options.shard):
            progress.say(f"warning: {words}")
        async with open_service(options, run_dir, heard) as service:
            ended = await conduct(
                loader, settings, options, run_dir, service, surroundings, progress, lambda: time.monotonic() - started
            )
        return ended.report, ended.summary


async def conduct(
    loader: Loader, settings: Settings, options: Options, run_dir: Path, service: Service, surroundings: Surroundings,
    progress: Progress, elapsed: Callable[[], float],
) -> Ended:  # fmt: skip
    """Plan, drain and report, with the run directory locked and the service open. Raises BatcherError.

    elapsed: returns the seconds since the start, for the report.
    """
    limit, shard = options.overrides.limit, options.shard
    command = options.command.replace(f" {generation.FLAG}", "")  # the flag is for one start, not for every resume
    observers = (*surroundings.observers, observing(progress))
    progress = Heard(progress, surroundings.observers, surroundings.wall)
    surroundings = replace(surroundings, observers=observers)
    control = read_control(run_dir)
    with ExitStack() as held:
        fresh = not has_state(run_dir)
        beside = generation.read_beside(run_dir)
        lost_journal = not fresh and generation.has_lost_its_journal(run_dir, beside)
        state = held.enter_context(closing(StateFile(run_dir / STATE)))
        try:
            generation.check_file(state, beside)
            offer = await _offer(loader, settings, service, state, control)
            same_service(state, service)
            same_shard(state, shard)
            warning = generation.check(state, run_dir, beside, lost_journal=lost_journal, go_on=options.continue_copy)
            read, inputs, warnings = await _read(state, loader, offer, settings, options, service, progress)
            warnings += () if inputs is None else inputs.warnings(surroundings.wall())
        except BaseException:
            if fresh:
                state.close()
                remove_state(run_dir)
            raise
        generation.take(state, run_dir, beside, surroundings.wall())
        held.callback(generation.leave, run_dir)
        held.callback(state.close)  # runs before it: callbacks run in reverse order
        offer = replace(offer, warnings=(*offer.warnings, *warnings))
        _say_what_was_read(read, offer, warning, surroundings)
        planned, wall = read.planned, surroundings.wall
        jobs = planned.within(limit)
        check_room(state, jobs, progress)
        budget = control.settings(settings).budget
        change = _facts(loader, planned, service, offer, budget, command, wall(), shard, run_dir)
        begin(state, change, settings, wall(), progress)
        stop, context = Stop(), None
        if is_paused(state, control, wall()):
            _stay_paused(state, control, stop)
        else:
            if words := control.words():
                progress.say(f"as tuned: {words} (`{command_line('tune', run_dir)}` shows and changes it)")
            total = jobs if planned.whole is None else planned.whole
            simulated = bool(service.api.simulated)
            surroundings.tell(RunBegan(
                    run_dir=run_dir, manifest=loader.source, model=loader.model, total=total, simulated=simulated,
                    at=wall(), price_usd=offer.price, budget_usd=budget,
                ),
            )  # fmt: skip
            context = await drain(
                state, service, offer, settings, control, stop, surroundings, model=loader.model, total=total,
                limit=limit, media=inputs,
            )  # fmt: skip
        with _saying(context):
            _give_way(stop)
            ended = _report(
                state, planned, jobs, service, stop, context, command, options.manifest == "-", elapsed(), wall(),
                offer, progress,
            )  # fmt: skip
        surroundings.tell(RunEnded(report=ended.report, summary=ended.summary, at=wall()))
        return ended


async def _read(
    state: StateFile, loader: Loader, offer: Offer, settings: Settings, options: Options, service: Service,
    progress: Progress,
) -> tuple[Reading, MediaInputs | None, tuple[str, ...]]:  # fmt: skip
    """Read the manifest into the table; check and upload the files its jobs name. Returns warnings too."""
    limit, place = options.overrides.limit, media_inputs.place_of(options.media, loader)
    files = media_inputs.contents(state, place, progress)
    read = plan_jobs(
        state, loader, offer.schema, limit=limit, progress=progress, run_dir=state.path.parent, shard=options.shard,
        contents=files,
    )  # fmt: skip
    is_simulator = service.name == SIMULATOR
    inputs = media_inputs.open_inputs(state, place, settings, service.api, is_simulator=is_simulator)
    which = "none" if is_simulator else settings.check_inputs
    warnings = (*await check_inputs(state.connection, offer.schema, which, limit), *files.warnings())
    if inputs is not None:
        await inputs.upload(state, limit, progress, try_one=settings.check_inputs != "none")
    return read, inputs, warnings


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


async def _offer(loader: Loader, settings: Settings, service: Service, state: StateFile, control: Control) -> Offer:
    offer = await ask(service.api, loader.model, settings.price, unchecked=settings.no_schema_check)
    if offer.price is None:
        offer = replace(offer, price=state.facts.price_usd, fresh=False)
    if control.settings(settings).budget is not None and offer.price is None:
        raise UsageError(
            "a budget needs a price, and the catalogue gives none for this model",
            hint="Give the price of one image with --price USD.",
        )
    return offer


def _say_what_was_read(read: Reading, offer: Offer, warning: str | None, surroundings: Surroundings) -> None:
    for text in (*([warning] if warning else []), *read.planned.warnings, *offer.warnings):
        surroundings.say(f"warning: {text}")
    for line in columns_in_words(read.totals.columns) if read.totals is not None else ():
        surroundings.say(line, "columns")
    if read.listed is not None and read.listed.gone:
        surroundings.say(gone_in_words(read.listed.gone))


def _facts(
    loader: Loader, planned: Planned, service: Service, offer: Offer, budget: float | None, command: str, now: float,
    shard: Shard | None, run_dir: Path,
) -> FactsChange:  # fmt: skip
    def change(facts: RunFacts) -> RunFacts:
        return replace(
            with_price(facts, offer, now),
            service=service.name,
            base_url=None if service.name == SIMULATOR else service.api.base_url,
            simulated=bool(service.api.simulated),
            manifest=loader.source,
            manifest_path=way_to(loader, run_dir),
            piped=loader.piped,
            model=loader.model,
            total=planned.jobs if planned.whole is None else planned.whole,
            command=command,
            budget_usd=budget,
            shard=None if shard is None else str(shard),
        )

    return change


def _report(
    state: StateFile, planned: Planned, jobs: int, service: Service, stop: Stop, context: RunContext | None,
    command: str, piped: bool, seconds: float, ended_at: float, offer: Offer, progress: Progress,
) -> Ended:  # fmt: skip
    generation.settle(state)
    run_dir = state.path.parent
    tally = None if context is None else context.tally
    facts = report.Facts(
        run_dir=run_dir,
        total=jobs if planned.whole is None else planned.whole,
        limited=planned.whole is None or jobs < planned.whole,
        submits=0 if tally is None else tally.submits,
        submit_rate=0.0 if tally is None else tally.submit_rate,
        rate_limited=0 if tally is None else tally.rate_limited,
        warnings=() if tally is None else tuple(tally.warnings),
        warned=0 if tally is None else tally.warned,
        seconds=seconds,
        simulated=bool(service.api.simulated),
        began=ended_at - seconds,
        ended=ended_at,
        asked=None if context is None else context.pace.ceiling,
        command=command,
    )
    price = offer.price if context is None else context.budget.price
    built = report.build(state.connection, facts, stop, price)
    if not tables.are_fresh(state):
        tables.write(state, simulated=facts.simulated, progress=progress)

    def end(before: RunFacts) -> RunFacts:
        succeeded_at = before.succeeded_at if built["exit_code"] else built["ended_at"]
        refused = before.refused + facts.rate_limited
        return replace(before, refused=refused, ended=report.ended(built), succeeded_at=succeeded_at)

    with suppress(DiskError):  # the report has the same facts
        state.must_commit([lambda: state.change_facts(end)])
    report.write(run_dir, built)
    way_on = report_words.WayOn(
        command, limited=facts.limited, piped=piped, needed=room_needed(state, jobs), control=control_now(run_dir)
    )
    words = report_words.summary(built, stop, way_on, facts.warnings)
    lines = report_words.cancelled({} if context is None else context.cancelled)
    return Ended(built, "\n".join([*lines, *_untaken(context), words]), stop, context)


def _untaken(context: RunContext | None) -> list[str]:
    return [] if context is None else context.rescue.in_words()
