"""From what a person typed to a run: opens the service and the run directory, lets the runner go, closes both."""

import asyncio
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batcher import __version__, embedded, report
from batcher.api import Api
from batcher.artifacts import Downloader, Trust
from batcher.budget import Budget
from batcher.catalog import Offer, ask
from batcher.errors import Cause, DiskError, UsageError
from batcher.job import State, utc
from batcher.manifest import Draft, Manifest, Overrides, open_manifest
from batcher.progress import Progress, listener
from batcher.runner import Runner, Tools, cancel_all
from batcher.settings import Given, Settings, base_url, deadline_at, find_token, fold
from batcher.stop import Reason, Stop
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, locked, prepare, reading
from batcher.tally import Tally
from batcher.units import show_bytes

TICK = 0.25  # seconds between looks at the tally
SIMULATOR = "simulator"  # what a run directory remembers of the embedded one
TYPICAL_BYTES = 800_000  # of a generated PNG of about a megapixel (DiffusionDB: 1.6 TB for 2 million)
LEAST_FREE = 50_000_000  # bytes: with less than this nothing is paid for
LIVE_EVERY = 8  # ticks between notes for `batcher status`


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line said, unparsed. flags: run options by name."""

    manifest: str
    out: str | None = None
    overrides: Overrides
    flags: Mapping[str, Given] = field(default_factory=dict)
    token_file: str | None = None
    base_url: str | None = None
    trust_hosts: Sequence[str] = ()
    simulate: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """api is open. trust: hosts that files may come from beside RunComfy's. name: what a run directory remembers."""

    api: Api
    trust: tuple[str, ...]
    name: str


def run_dir_of(options: Options, draft: Draft) -> Path:
    return Path(options.out) if options.out else Path("runs") / draft.name


def read_draft(options: Options) -> tuple[Draft, Settings]:
    """The manifest's syntax and the settings. Raises ManifestError, UsageError."""
    draft = open_manifest(options.manifest, options.overrides, stdin=sys.stdin.buffer)
    told = {
        name: Given(option.text, file=option.file, line=option.line, column=option.column)
        for name, option in draft.run_options.items()
    }
    return draft, fold(options.flags, told)


@asynccontextmanager
async def open_service(options: Options, run_dir: Path | None, say: Progress) -> AsyncIterator[Service]:
    """The real service with the user's token, or the embedded simulator. Raises AccountError, UsageError.

    run_dir: where the simulator keeps its journal, None for none.
    """
    trust: tuple[str, ...]
    async with AsyncExitStack() as stack:
        if options.simulate:
            root = await stack.enter_async_context(embedded.simulator(run_dir))
            token, trust, name = embedded.TOKEN, ("127.0.0.1",), SIMULATOR
        else:
            root = base_url(options.base_url)
            found = find_token(options.token_file)
            if found.warning:
                say.say(f"warning: {found.warning}")
            token, trust, name = found.value, (), urlsplit(root).netloc
        api = await stack.enter_async_context(Api(root, token))
        yield Service(api, (*trust, *options.trust_hosts), name)


@contextmanager
def hold(run_dir: Path) -> Iterator[None]:
    """The run directory, ours alone. Raises BusyError, UsageError, DiskError."""
    prepare(run_dir)
    with locked(run_dir):
        yield


async def run(options: Options) -> tuple[dict[str, Any], str]:
    """The main job. Returns the report and its summary in words. Raises BatcherError before anything is spent."""
    started = time.monotonic()
    draft, settings = read_draft(options)
    run_dir = run_dir_of(options, draft)
    progress = listener(settings.progress)
    stop = Stop()
    with ExitStack() as held:
        if run_dir.exists():
            held.enter_context(hold(run_dir))
        async with open_service(options, run_dir, progress) as service:
            offer = await ask(service.api, draft.model, settings.price)
            manifest = draft.check(offer.schema)
            held.callback(manifest.close)
            _check_money(settings, offer)
            for warning in (*manifest.warnings, *offer.warnings):
                progress.say(f"warning: {warning}")
            if not run_dir.exists():
                held.enter_context(hold(run_dir))
            state = StateFile(run_dir / STATE)
            held.callback(state.close)
            _check_room(state, manifest, progress)
            _greet(state, service, manifest, offer, settings)
            tools = await _drive(manifest, settings, state, service, offer, stop, progress)
        facts = report.Facts(
            run_dir=run_dir,
            total=manifest.whole,
            submits=tools.tally.submits,
            submit_rate=tools.tally.submit_rate,
            rate_limited=tools.tally.rate_limited,
            warnings=tools.tally.warned,
            seconds=time.monotonic() - started,
            simulated=bool(service.api.simulated),
        )
        built = report.build(state.connection, facts, stop, offer.price)
        report.write(state.connection, run_dir, built)
        said = report.summary(state.connection, built, stop, resume_command())
        return built, "\n".join([*report.cancelled(tools.cancelled), said])


def resume_command() -> str:
    """The command as it was typed: running it again is the resume."""
    return shlex.join(["batcher", *sys.argv[1:]])


def _check_money(settings: Settings, offer: Offer) -> None:
    if settings.budget is not None and offer.price is None:
        raise UsageError(
            "a budget needs a price, and the catalogue gives none for this model",
            hint="Say what one image costs with --price USD.",
        )


def _check_room(state: StateFile, manifest: Manifest, progress: Progress) -> None:
    """Whether what is still to come will fit on the disk: better known now than at three in the morning."""
    images, size, _ = reading.pictures(state.connection)
    left = max(0, manifest.total - reading.by_state(state.connection).get(State.DONE, 0))
    needed = left * (size / images if images else TYPICAL_BYTES)
    free = shutil.disk_usage(state.path.parent).free
    if free < LEAST_FREE:
        raise DiskError(
            f"only {show_bytes(free)} are free at {state.path.parent}",
            hint="Nothing was submitted. Make room, then run the same command again.",
        )
    if needed > free:
        progress.say(
            f"warning: {left:,} images may need about {show_bytes(needed)}, and {show_bytes(free)} are free;"
            " when the disk is full the run stops and can be resumed"
        )


def _greet(state: StateFile, service: Service, manifest: Manifest, offer: Offer, settings: Settings) -> None:
    """Makes the state file fit this start: whose it is, what the manifest holds now, what was in the air."""
    _same_service(state, service)
    whole = manifest.total == manifest.whole
    facts: dict[str, Any] = {
        "service": service.name,
        "base_url": None if service.name == SIMULATOR else service.api.base_url,
        "simulated": bool(service.api.simulated),
        "batchers": sorted({__version__, *reading.meta(state.connection, "batchers", [])}),
        "manifest": manifest.source,
        "model": manifest.model,
        "total": manifest.whole,
        "price_usd": offer.price,
        "price_at": None if offer.price is None else utc(time.time()),
        "process": {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()},
        "command": resume_command(),
    }
    changes: list[Callable[[], object]] = []
    if whole and reading.meta(state.connection, "fingerprint") != manifest.fingerprint:
        difference = reading.compare(state.connection, manifest.jobs())
        changes = [partial(state.unlist, difference.gone), partial(state.relist, difference.back)]
        facts["fingerprint"] = manifest.fingerprint
    cause = Cause(kind="interrupted", message="batcher ended while this submit was in the air")
    changes += [partial(state.doubt, entry, cause) for entry in reading.entries(state.connection, [State.SUBMITTING])]
    state.must_commit([partial(state.set_meta, **facts), *changes])
    if settings.in_doubt == "resubmit":
        doubtful = list(reading.entries(state.connection, [State.IN_DOUBT]))
        state.must_commit([partial(state.reopen, entry) for entry in doubtful])


def _same_service(state: StateFile, service: Service) -> None:
    """Request ids belong to one service, and simulated images must never pass for real ones."""
    known, simulated = reading.meta(state.connection, "service"), reading.meta(state.connection, "simulated")
    if simulated is None:
        return
    if bool(simulated) != bool(service.api.simulated):
        kind = "simulated" if simulated else "real"
        raise UsageError(
            f"{state.path.parent} holds {kind} images; they are not mixed",
            hint="Choose another run directory with -o, or delete this one if you don't need it.",
        )
    if known is not None and known != service.name and not simulated:  # None: rebuilt from sidecars
        raise UsageError(
            f"{state.path.parent} belongs to {known}, and this run would go to {service.name}",
            hint="Its request ids mean nothing there. Choose another run directory with -o.",
        )


async def _drive(
    manifest: Manifest,
    settings: Settings,
    state: StateFile,
    service: Service,
    offer: Offer,
    stop: Stop,
    progress: Progress,
) -> Tools:
    now = asyncio.get_running_loop().time
    money = reading.money(state.connection)
    spent = money.known_usd + (money.unpriced + money.failed) * (offer.price or 0.0)
    reader = connect_to_read(state.path.parent)
    trust = Trust(service.trust)
    try:
        async with (
            Downloader(state.path.parent, trust=trust, check=settings.check, threads=settings.downloads) as downloader,
            CommitQueue(state) as queue,
        ):
            tools = Tools(
                settings=settings,
                queue=queue,
                api=service.api,
                downloader=downloader,
                tally=Tally(reading.counts(reader, manifest.whole), now()),
                stop=stop,
                budget=Budget(settings.budget, offer.price, spent=spent, reserved_images=money.open),
                deadline=deadline_at(settings.deadline, time.time()),
            )
            runner = Runner(manifest, tools, reader)
            ticker = asyncio.create_task(_tick(tools, progress), name="progress")
            with _signals(stop, progress):
                try:
                    await runner.run()
                    if settings.cancel_on_interrupt and stop.reason is Reason.INTERRUPTED:
                        await cancel_all(service.api, queue, reader, tools.cancelled)
                except asyncio.CancelledError:
                    stop.request(Reason.INTERRUPTED, "interrupted twice: nothing more was waited for")
                finally:
                    ticker.cancel()
                    with suppress(asyncio.CancelledError):
                        await ticker
            with suppress(Exception):
                await queue.durable(state.set_meta, process=None, live=None)
            progress.close(_snapshot(tools))
        return tools
    finally:
        reader.close()


async def _tick(tools: Tools, progress: Progress) -> None:
    ticks = 0
    while True:
        snapshot = _snapshot(tools)
        progress.show(snapshot)
        if ticks % LIVE_EVERY == 0:
            live = {"rate": snapshot.rate, "eta": snapshot.eta, "in_flight": snapshot.in_flight, "at": tools.wall()}
            await tools.queue.durable(tools.state.set_meta, live={**live, "note": snapshot.note})
        ticks += 1
        await asyncio.sleep(TICK)


def _snapshot(tools: Tools) -> Any:
    known = tools.budget.price is not None or tools.budget.spent > 0
    return tools.tally.snapshot(tools.now(), tools.budget.spent if known else None)


@contextmanager
def _signals(stop: Stop, progress: Progress) -> Iterator[None]:
    """First Ctrl-C or SIGTERM: nothing new, finish what is in the air. Second: leave at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def asked() -> None:
        if stop.reason is Reason.INTERRUPTED:
            task.cancel()
            return
        progress.say("stopping: finishing what is in the air; once more to leave at once")
        stop.request(Reason.INTERRUPTED, "interrupted")

    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
