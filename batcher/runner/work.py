"""Drains the job table: opens and closes every part that a run works with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import replace
from itertools import count

from batcher.client.catalogue import Offer
from batcher.core.budget import Budget, kind_of
from batcher.core.control import Control
from batcher.core.errors import AccountError, DiskError
from batcher.core.job import Entry, utc
from batcher.core.settings import Deadline, Settings
from batcher.core.tally import Snapshot, Tally
from batcher.core.units import show_count
from batcher.images.embed import at_arrival
from batcher.images.fetch import Downloader
from batcher.images.storage import place_of
from batcher.images.trust import Trust
from batcher.runner.cancelling import cancel_all
from batcher.runner.clock import Clock
from batcher.runner.controller import Controller
from batcher.runner.drain import Drain
from batcher.runner.engines.engine import Local
from batcher.runner.engines.opening import open_engine
from batcher.runner.events import Ticked
from batcher.runner.flow import Flow
from batcher.runner.health import Health
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.job_table import JobTable
from batcher.runner.money import Money
from batcher.runner.progress_words import in_flight_hint
from batcher.runner.recovery import departures
from batcher.runner.run_context import RunContext, Surroundings
from batcher.runner.service import Service
from batcher.runner.stop import GRACE, Reason, Stop, deadline_at, of_account
from batcher.store import Ballast, CommitQueue, RunFacts, StateFile, connect_to_read, reading
from batcher.store.facts import Live
from batcher.store.money import money_in_all

TICK = 0.25  # seconds between checks of the tally and of control.json
REMEMBERED = 1_000  # jobs of earlier processes whose costs are used for the budget
LIVE_EVERY = 8  # ticks between notes for `batcher status`


async def drain(
    state: StateFile, service: Service, offer: Offer, settings: Settings, control: Control, stop: Stop,
    surroundings: Surroundings, *, model: str, total: int, limit: int | None, media: MediaInputs | None = None,
) -> RunContext:  # fmt: skip
    """Run until every job is final or ``stop`` is set. settings: of the command; control: overrides them.

    total: jobs of the manifest. limit: submit only this many of the first jobs. Raises DiskError before anything is
    submitted; cancellation is an interruption.
    """
    departures.begin_anew(state)
    async with _opened(
        state, service, control.settings(settings), stop, surroundings, price=offer.price, total=total,
        simulated=bool(service.api.simulated), deadline=settings.deadline, limit=limit,
    ) as context:  # fmt: skip
        context.health.no_catalogue = offer.absent
        with closing(departures.Departures(state.path.parent)) as journal:
            controller = Controller(context, settings, control)
            async with surroundings.attend(context):
                ticker = asyncio.create_task(_tick(context, controller), name="progress")
                try:
                    await _run_jobs(context, Drain(context).run(journal, model, limit, media))
                finally:
                    ticker.cancel()
                    with suppress(asyncio.CancelledError):
                        await ticker
                    await context.table.rescue.settle(context.table.queue, context.clock.wall())
            if stop.reason is Reason.INTERRUPTED:
                with suppress(DiskError):  # then the next start does it
                    departures.recover(state, context.clock.wall())  # submits whose answer is no longer waited for
        if taken_in := context.tally.taken_in:
            jobs = show_count(taken_in, "job was", "jobs were")
            surroundings.say(f"{jobs} there already, image and sidecar: taken in, not paid for again")
        await _remember(context, offer)
        surroundings.tell(Ticked(snapshot=_snapshot(context), at=surroundings.wall()))
    return context


async def _run_jobs(context: RunContext, jobs: Awaitable[None]) -> None:
    """Run the jobs; after an interruption, cancel what is queued if the settings say so."""
    stop, table = context.stop, context.table
    try:
        await jobs
        if context.settings.cancel_on_interrupt and stop.reason is Reason.INTERRUPTED:
            await table.queue.flush()  # so that finished jobs are not cancelled
            with suppress(TimeoutError):
                async with asyncio.timeout_at(stop.leave_at + GRACE):
                    await cancel_all(context.api, table.queue, table.reader, context.tally.cancelled)
    except AccountError as error:  # of a cancel
        stop.request(of_account(error), error.message, error.hint)
    except DiskError as error:
        table.failed(error)
    except asyncio.CancelledError:
        stop.request(Reason.INTERRUPTED, "interrupted twice: left at once")


async def fetch_again(
    state: StateFile, service: Service, entries: Sequence[Entry], settings: Settings, *, simulated: bool, ask: bool
) -> Stop:
    """Fetch the files of READY and RUNNING jobs and submit nothing. Returns the Stop with its reason, if any.

    ask: whether the service may be asked for new links. Raises DiskError.
    """
    stop = Stop()
    async with _opened(
        state, service, settings, stop, Surroundings(), price=None, total=len(entries), simulated=simulated,
        patient=False,
    ) as context:  # fmt: skip
        await Drain(context).collect(entries, ask=ask)
    return stop


@asynccontextmanager
async def _opened(
    state: StateFile, service: Service, settings: Settings, stop: Stop, surroundings: Surroundings, *,
    price: float | None, total: int, simulated: bool, deadline: Deadline | None = None, patient: bool = True,
    limit: int | None = None,
) -> AsyncIterator[RunContext]:  # fmt: skip
    """Open every part that a run works with. Raises DiskError."""
    run_dir, past_deadline = state.path.parent, _past(deadline, surroundings)
    ballast = Ballast(run_dir)
    with closing(connect_to_read(run_dir)) as reader, ExitStack() as held:
        held.callback(ballast.drop)
        ballast.lay()
        counts = reading.counts(reader, total, limit)
        async with (
            Downloader(
                place_of(run_dir), trust=Trust(service.trust), check=settings.check, wall=surroundings.wall,
                threads=settings.downloads, embed=at_arrival(settings.embed, state.facts.prompt_input),
            ) as downloader,
            CommitQueue(state) as queue,
            open_engine(
                Local(downloader, simulated=simulated), state, counts, settings, trust=service.trust,
                simulated=simulated, hire=surroundings.hire, tell=surroundings.tell, wall=surroundings.wall,
            ) as engine,
        ):  # fmt: skip
            clock = Clock(surroundings.wall, past_deadline)
            table, tally = JobTable(queue, reader, ballast, stop), Tally(counts, clock.began)
            yield RunContext(
                settings=settings, surroundings=surroundings, clock=clock, stop=stop, table=table, api=service.api,
                health=Health(settings, clock, stop, tally, table, service.api.base_url, patient=patient),
                money=Money(_budget(state, settings, price), tally),
                flow=Flow(settings, engine.resize(settings.downloads), clock, stop), engine=engine, tally=tally,
            )  # fmt: skip


async def _remember(context: RunContext, offer: Offer) -> None:
    """Record how the run ended; a failing disk was reported before."""
    price, now, reason = context.money.budget.price, utc(context.clock.wall()), context.stop.reason

    def end(facts: RunFacts) -> RunFacts:
        if price is not None and price != offer.price:
            facts = replace(facts, price_usd=price, price_at=now)
        return replace(facts, process=None, live=None, stopped_by=reason and reason.word)

    with suppress(DiskError):
        await context.table.queue.durable(context.table.state.change_facts, end)


def _budget(state: StateFile, settings: Settings, price: float | None) -> Budget:
    money, each = money_in_all(state.connection), price or 0.0
    budget = Budget(
        settings.budget,
        price,
        spent=money.known_usd + money.unpriced * each,
        feared=money.failed * each,
        tried=money.known_usd > 0 or money.unpriced > 0,
    )
    for model, inputs, images, cost in reading.costs(state.connection, REMEMBERED):
        budget.learn(kind_of(model, inputs), images, cost)
    for model, inputs, images in reading.open_jobs(state.connection):
        budget.hold(kind_of(model, inputs), images)
    return budget


def _past(deadline: Deadline | None, surroundings: Surroundings) -> Callable[[], bool]:
    """Whether the deadline is over. A duration is measured on a monotonic clock that goes on in sleep, a time of day on
    the wall clock.
    """
    if deadline is None:
        return lambda: False
    if deadline.seconds is not None:
        seconds, began = deadline.seconds, surroundings.elapsed()
        return lambda: surroundings.elapsed() - began >= seconds
    moment = deadline_at(deadline, surroundings.wall())
    return lambda: moment is not None and surroundings.wall() >= moment


async def _tick(context: RunContext, controller: Controller) -> None:
    """Show the progress, record it for ``batcher status``, and apply ``control.json``, four times a second."""
    surroundings, table, flow = context.surroundings, context.table, context.flow
    hinted, noted = False, None
    for ticks in count():
        snapshot = _snapshot(context)
        if not hinted and (hint := in_flight_hint(snapshot, flow.slots.size, table.state.path.parent)):
            hinted = True
            surroundings.say(hint)
        surroundings.tell(Ticked(snapshot=snapshot, at=surroundings.wall()))
        with suppress(DiskError):  # the next state change of a job reports it
            if words := await controller.obey():
                surroundings.say(words)
            live = _live(context, snapshot)
            if ticks % LIVE_EVERY == 0 and live != noted:
                await table.queue.durable(_note, table.state, replace(live, at=surroundings.wall()))
                noted = live
        await asyncio.sleep(TICK)


def _note(state: StateFile, live: Live) -> None:
    state.change_facts(lambda facts: replace(facts, live=live))


def _live(context: RunContext, snapshot: Snapshot) -> Live:
    return Live(
        rate=snapshot.rate, eta=snapshot.eta, eta_model=snapshot.eta_model, in_flight=snapshot.in_flight,
        note=snapshot.note, limited_by=snapshot.limited_by, limited_for=snapshot.limited_for, asked=snapshot.asked,
        pace=snapshot.pace, in_flight_cap=snapshot.in_flight_cap, slots=context.flow.slots.size,
        workers=tuple(context.engine.workers),
        budget=context.money.budget.ceiling, refused=context.tally.rate_limited,
    )  # fmt: skip


def _snapshot(context: RunContext) -> Snapshot:
    budget, flow, now = context.money.budget, context.flow, context.clock.now()
    is_known = budget.price is not None or budget.spent > 0
    flow.waits.sample(now, files_wait=flow.downloads.is_crowded)
    return context.tally.snapshot(
        now, budget.spent if is_known else None, waits=flow.waits, asked=flow.submits.ceiling,
        pace=flow.submits.rate, slots=flow.slots.size,
    )  # fmt: skip
