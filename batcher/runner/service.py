"""Command-line options, and the service they select: the real one with a token, or the embedded simulator."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batcher.client import embedded
from batcher.client.token import Token, base_url, find_token
from batcher.core.errors import AccountError, ManifestError, UsageError
from batcher.core.settings import Given, Settings, fold
from batcher.core.shard import Shard, shard_suffix
from batcher.manifest import Loader, Overrides, open_manifest
from batcher.manifest.schema import bundled
from batcher.manifest.schema.media_files import Unread
from batcher.runner.progress import Says
from batcher.store import RunFacts, connect_to_read, has_state, read_facts

if TYPE_CHECKING:  # start-up time
    from batcher.client.api import Api

SIMULATOR = "simulator"  # recorded name of the embedded simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, unparsed. manifest: a path, URL, or ``-``. out: the run directory. flags: run options by name.

    overrides: of the manifest. token_file: path, None for the usual places. base_url: of the service, None for
    RunComfy. simulate: whether to use the embedded simulator, which excludes ``base_url``. trust_hosts: hosts that
    files may come from. shard: the part of the manifest to run. images: URL of a bucket for images. media: URL for
    uploads of input files. continue_copy: continue with a state file that may be an old copy. command: the whole
    command line, to be pasted.
    """

    manifest: str
    out: str | None = None
    overrides: Overrides
    flags: Mapping[str, Given] = field(default_factory=dict)
    token_file: str | None = None
    base_url: str | None = None
    trust_hosts: Sequence[str] = ()
    simulate: bool = False
    shard: Shard | None = None
    images: str | None = None
    media: str | None = None
    continue_copy: bool = False
    command: str = "batcher"


@dataclass(frozen=True, slots=True)
class Service:
    """The service of a run: RunComfy, another address (``base_url=``), or the simulator (``simulate=True``).

    api: open. trust: hosts that files may come from, besides RunComfy's (``trust_host=``). name: recorded in the run
    directory, which can only be continued with the same service.

    >>> simulator = batcher.Service(api=None, trust=("127.0.0.1",), name="simulator")
    >>> batcher.open("runs/kite").status().simulated and simulator.name  # so this run needs simulate=True
    'simulator'
    """

    api: "Api"
    trust: tuple[str, ...]
    name: str


def run_dir_of(options: Options, loader: Loader) -> Path:
    """The given run directory, else the manifest's default. Raises UsageError if that one is of another manifest."""
    if options.out:
        return Path(options.out)
    suffix = shard_suffix(options.shard)
    run_dir = Path("runs") / f"{loader.name}{suffix}"
    if not has_state(run_dir):
        return run_dir
    with closing(connect_to_read(run_dir)) as connection:
        facts = read_facts(connection)
    way, recorded, folder = way_to(loader, run_dir), facts.manifest_path, ""
    if facts.piped not in {None, loader.piped}:
        other, folder = "another input, from a pipe", f"{loader.name}-2"
    elif way is not None and recorded not in {None, way} and (path := run_dir / (recorded or way)).exists():
        other, folder = os.path.relpath(path), f"{Path(loader.path or '').parent.name}-{loader.name}"
    if folder:
        raise UsageError(
            f"{run_dir} is the run directory of {other}, and not of {loader.source}",
            hint=f"Name another one: -o {quote(str(Path('runs') / f'{folder}{suffix}'))}"
            f" (-o {quote(str(run_dir))} puts both into one). Nothing was submitted.",
        )
    return run_dir


def way_to(loader: Loader, run_dir: Path) -> str | None:
    """From the run directory to the manifest, so that both can be moved or copied together; None for standard input."""
    return None if loader.path is None else os.path.relpath(loader.path, run_dir)


def as_recorded(facts: RunFacts, options: Options) -> Options:
    """The recorded service of the run, unless the options name another address of it."""
    if options.simulate or options.base_url:
        return options
    if facts.service == SIMULATOR or (facts.service is None and facts.simulated and not facts.base_url):
        return replace(options, simulate=True)
    return replace(options, base_url=facts.base_url)


def read_manifest(options: Options, fetched: Path | None = None) -> tuple[Loader, Settings]:
    """Check the manifest's syntax and the settings. Raises UsageError, or ManifestError with all errors so far.

    fetched: the file with the manifest's bytes, if that is not its path: it is a URL, or not written yet.
    """
    path = None if fetched is None else str(fetched)
    loader = open_manifest(options.manifest, options.overrides, stdin=sys.stdin.buffer, fetched=path)
    given = {
        name: Given(option.text, file=option.file, line=option.line, column=option.column)
        for name, option in loader.run_options.items()
    }
    try:
        settings = fold(options.flags, given)
        if settings.workers is not None and settings.engine != "ray":
            loader.close()
            raise UsageError("--workers is for --engine ray", hint="Add it, or leave --workers out.")
        loader.unchecked = settings.no_schema_check
        return loader, settings
    except ManifestError as error:
        problems = [*error.problems]
        loader.contents = Unread()
        try:
            for _ in loader.jobs(bundled(loader.model)):
                pass
        except ManifestError as more:  # report errors of options and manifest together
            problems += more.problems
        loader.close()
        raise ManifestError(problems) from None


@asynccontextmanager
async def open_service(options: Options, run_dir: Path | None, say: Says) -> AsyncIterator[Service]:
    """The real service with the user's token, or the embedded simulator. Raises AccountError, UsageError.

    run_dir: folder of the simulator's journal, None for no journal.
    """
    from batcher.client.api import Api  # noqa: PLC0415  aiohttp takes a fifth of a second, and many commands never call

    trust: tuple[str, ...]
    async with AsyncExitStack() as stack:
        if options.simulate and options.base_url:
            raise UsageError("--simulate and --base-url contradict each other", hint="Leave one of them out.")
        if options.simulate:
            root = await stack.enter_async_context(embedded.simulator(run_dir))
            token, trust, name = embedded.TOKEN, ("127.0.0.1",), SIMULATOR
        else:
            root = base_url(options.base_url)
            credential = _token(options, run_dir)
            if credential.warning:
                say.say(f"warning: {credential.warning}")
            token, trust, name = credential.value, (), ""
        api = await stack.enter_async_context(Api(root, token))
        yield Service(api, (*trust, *options.trust_hosts), name or urlsplit(api.base_url).netloc)


def _token(options: Options, run_dir: Path | None) -> Token:
    try:
        return find_token(options.token_file)
    except AccountError as error:
        if run_dir is None or not has_state(run_dir):
            raise
        with closing(connect_to_read(run_dir)) as connection:
            if read_facts(connection).service != SIMULATOR:
                raise
        hint = f"{run_dir} was made with --simulate: add it again to go on there.\n{error.hint}"
        raise AccountError(error.message, hint=hint) from None
