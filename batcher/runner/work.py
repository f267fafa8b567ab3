"""A run that has something to do: opens the service and the state file, lets the runner go, closes both."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.client.catalogue import Offer, ask
from batcher.core.budget import Budget
from batcher.core.errors import DiskError, UsageError
from batcher.core.job import utc
from batcher.core.settings import Deadline, Settings
from batcher.core.tally import Tally
from batcher.images import Downloader, Dress, Trust
from batcher.manifest import Draft, Manifest
from batcher.runner import RunContext, Runner, cancel_all, garbage, report
from batcher.runner import records as tables
from batcher.runner.deadline import deadline_at
from batcher.runner.progress import CHECKING, Progress, counting
from batcher.runner.relayout import relayout
from batcher.runner.run_dir import check_room, greet, remembered_price, room_needed
from batcher.runner.service import Options, Service, open_service
from batcher.runner.stop import Reason, Stop
from batcher.store import STATE, Ballast, CommitQueue, StateFile, connect_to_read, reading

TICK = 0.25  # seconds between looks at the tally
LIVE_EVERY = 8  # ticks between notes for `batcher status`


async def work(
    options: Options,
    settings: Settings,
    draft: Draft,
    run_dir: Path,
    state: StateFile | None,
    progress: Progress,
    started: float,
) -> tuple[dict[str, Any], str]:
    """``session.run`` with the run directory held. state: None where there is none yet: it is only made once nothing is
    wrong with the manifest. started: of the process, on the monotonic clock.
    """
    stop = Stop()
    with ExitStack() as held:
        async with open_service(options, run_dir, progress) as service:
            offer = await ask(service.api, draft.model, settings.price)
            if offer.price is None:
                offer = replace(offer, price=remembered_price(None if state is None else state.connection), fresh=False)
            manifest = draft.check(offer.schema, progress=counting(progress, CHECKING))
            held.callback(manifest.close)
            _check_money(settings, offer)
            for warning in (*manifest.warnings, *offer.warnings):
                progress.say(f"warning: {warning}")
            if state is None:
                state = StateFile(run_dir / STATE)
                held.callback(state.close)
            check_room(state, manifest, progress)
            greet(state, service, manifest, offer, settings, options.command, progress)
            if options.relayout:
                relayout(state, manifest, progress)
            tools = await _drive(manifest, settings, state, service, offer, stop, progress)
        facts = report.Facts(
            run_dir=run_dir,
            total=manifest.whole,
            limited=manifest.total < manifest.whole,
            submits=tools.tally.submits,
            submit_rate=tools.tally.submit_rate,
            rate_limited=tools.tally.rate_limited,
            warnings=tuple(tools.tally.warnings),
            warned=tools.tally.warned,
            seconds=time.monotonic() - started,
            simulated=bool(service.api.simulated),
        )
        built = report.build(state.connection, facts, stop, tools.budget.price)
        tables.write(state, simulated=facts.simulated, progress=progress)
        report.write(run_dir, built)
        way_on = report.WayOn(
            options.command, limited=facts.limited, piped=options.manifest == "-", needed=room_needed(state, manifest)
        )
        said = report.summary(state.connection, facts, built, stop, way_on)
        return built, "\n".join([*report.cancelled(tools.cancelled), said])


def _check_money(settings: Settings, offer: Offer) -> None:
    if settings.budget is not None and offer.price is None:
        raise UsageError(
            "a budget needs a price, and the catalogue gives none for this model",
            hint="Say what one image costs with --price USD.",
        )


async def _drive(
    manifest: Manifest,
    settings: Settings,
    state: StateFile,
    service: Service,
    offer: Offer,
    stop: Stop,
    progress: Progress,
) -> RunContext:
    now = asyncio.get_running_loop().time
    money = reading.money(state.connection)
    price = offer.price or 0.0
    budget = Budget(
        settings.budget,
        offer.price,
        spent=money.known_usd + money.unpriced * price,
        feared=money.failed * price,
        reserved_images=money.open,
    )
    reader = connect_to_read(state.path.parent)
    ballast = Ballast(state.path.parent)
    trust = Trust(service.trust)
    try:
        _lay(ballast)
        async with (
            Downloader(
                state.path.parent,
                trust=trust,
                check=settings.check,
                threads=settings.downloads,
                dress=_dress(settings),
            ) as downloader,
            CommitQueue(state) as queue,
        ):
            tools = RunContext(
                settings=settings,
                queue=queue,
                api=service.api,
                downloader=downloader,
                tally=Tally(reading.counts(reader, manifest.whole), now()),
                stop=stop,
                ballast=ballast,
                budget=budget,
                past_deadline=_past(settings.deadline),
            )
            runner = Runner(manifest, tools, reader)
            with _signals(stop, progress), garbage.rarely() as search:
                ticker = asyncio.create_task(_tick(tools, progress), name="progress")
                searcher = asyncio.create_task(_search(search), name="memory")
                try:
                    await runner.run()
                    if settings.cancel_on_interrupt and stop.reason is Reason.INTERRUPTED:
                        await queue.flush()  # what is known to be finished is not asked to be cancelled
                        await cancel_all(service.api, queue, reader, tools.cancelled)
                except asyncio.CancelledError:
                    stop.request(Reason.INTERRUPTED, "interrupted twice: nothing more was waited for")
                finally:
                    for task in (ticker, searcher):
                        task.cancel()
                        with suppress(asyncio.CancelledError):
                            await task
            with suppress(Exception):
                await queue.durable(state.set_meta, process=None, live=None, stopped_by=_word(stop))
                if budget.price is not None and budget.price != offer.price:
                    await queue.durable(state.set_meta, price_usd=budget.price, price_at=utc(tools.wall()))
            progress.close(_snapshot(tools))
        return tools
    finally:
        ballast.drop()
        reader.close()


def _dress(settings: Settings) -> Dress | None:
    if not settings.embed:
        return None
    from batcher.images.embed import at_arrival  # noqa: PLC0415  start-up time

    return at_arrival(settings.embed)


def _word(stop: Stop) -> str | None:
    return None if stop.reason is None else stop.reason.word


def _past(deadline: Deadline | None) -> Callable[[], bool] | None:
    """A duration is measured on a clock that nobody sets and that goes on while the machine sleeps; a time of day is
    what the wall clock says, whatever was done to it.
    """
    if deadline is None:
        return None
    if deadline.seconds is not None:
        seconds, began = deadline.seconds, _elapsed()
        return lambda: _elapsed() - began >= seconds
    moment = deadline_at(deadline, time.time())
    return lambda: moment is not None and time.time() >= moment


def _elapsed() -> float:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def _lay(ballast: Ballast) -> None:
    try:
        ballast.lay()
    except OSError as error:
        raise DiskError(
            f"{ballast.path.parent} can't be written: {error.strerror}",
            hint="Nothing was submitted. Make room or give rights there, then run the same command again.",
        ) from error


async def _search(search: Callable[[], bool]) -> None:
    while True:
        await asyncio.sleep(garbage.EVERY)
        search()


async def _tick(tools: RunContext, progress: Progress) -> None:
    ticks = 0
    while True:
        snapshot = _snapshot(tools)
        progress.show(snapshot)
        if ticks % LIVE_EVERY == 0:
            live = {"rate": snapshot.rate, "eta": snapshot.eta, "in_flight": snapshot.in_flight, "at": tools.wall()}
            await tools.queue.durable(tools.state.set_meta, live={**live, "note": snapshot.note})
        ticks += 1
        await asyncio.sleep(TICK)


def _snapshot(tools: RunContext) -> Any:
    known = tools.budget.price is not None or tools.budget.spent > 0
    return tools.tally.snapshot(tools.now(), tools.budget.spent if known else None)


@contextmanager
def _signals(stop: Stop, progress: Progress) -> Iterator[None]:
    """First Ctrl-C, SIGTERM or closed terminal: nothing new, finish what is in the air. Second: leave at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def asked() -> None:
        if stop.reason is Reason.INTERRUPTED:
            task.cancel()
            return
        progress.say("stopping: finishing what is in the air; once more to leave at once")
        stop.request(Reason.INTERRUPTED, "interrupted")

    handled = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    for number in handled:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
