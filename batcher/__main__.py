"""``batcher`` and ``python -m batcher``: the one place where exceptions become messages and exit codes."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # start-up time
    from batcher.core.errors import BatcherError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code (README, "Exit codes")."""
    import click  # noqa: PLC0415  start-up time is part of the product

    from batcher.commands.cli import cli  # noqa: PLC0415

    told = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=told, prog_name="batcher", standalone_mode=False, obj=tuple(told))
    except click.exceptions.Exit as ending:
        code = ending.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _explain_interruption(as_json="--json" in told)
    except Exception as error:  # noqa: BLE001  all that goes wrong is explained here, or shown as a defect
        code = _explain(error, as_json="--json" in told)
    return code if isinstance(code, int) else 0


def _explain(error: Exception, *, as_json: bool) -> int:
    import click  # noqa: PLC0415

    from batcher.core.errors import BatcherError, DiskError, FileRefused, UsageError  # noqa: PLC0415

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return 64
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "batcher"
        error = UsageError(error.format_message(), hint=f"`{command} --help` shows what it takes.")
    elif isinstance(error, FileRefused):
        error = UsageError(error.cause.message, hint="Choose another name.")
    elif isinstance(error, OSError) and error.filename is not None:
        # What the system forbids where nobody expected it: a message is of more use than a traceback.
        said = f"{error.filename}: {error.strerror}"
        error = DiskError(said, hint="Check the path, its rights and the room on its disk.")
    if not isinstance(error, BatcherError):
        _explain_defect()
        return 1
    return _say(error, as_json=as_json)


def _explain_interruption(*, as_json: bool) -> int:
    from batcher.core.errors import Interrupted  # noqa: PLC0415

    hint = "What is done is kept. Run the same command again: it goes on from there."
    return _say(Interrupted("interrupted before the end", hint=hint), as_json=as_json)


def _say(error: "BatcherError", *, as_json: bool) -> int:
    from batcher.core.errors import ManifestError  # noqa: PLC0415
    from batcher.core.one_line import one_line  # noqa: PLC0415

    if as_json:
        from dataclasses import asdict  # noqa: PLC0415

        from batcher.commands.printing import say_json  # noqa: PLC0415

        facts: dict[str, object] = {"exit_code": error.exit_code, "error": error.message, "hint": error.hint}
        if isinstance(error, ManifestError):
            facts["errors"] = [asdict(problem) for problem in error.problems]
        say_json(facts)
    prefix = "" if isinstance(error, ManifestError) else "batcher: "
    for line in f"{prefix}{error}".splitlines():
        print(one_line(line, 4000), file=sys.stderr)
    return error.exit_code


def _explain_defect() -> None:
    import traceback  # noqa: PLC0415

    from batcher.core.version import __version__  # noqa: PLC0415

    traceback.print_exc()
    print(
        f"\nbatcher {__version__}: this is a defect in batcher. Please report it with the lines above.\n"
        "What was paid for is kept: the run directory can be resumed.",
        file=sys.stderr,
    )


def entry() -> NoReturn:
    """The console script."""
    import signal  # noqa: PLC0415

    # As Ctrl-C, so that what is half done is put away, and said. Who ignores it (nohup, a parent) goes on ignoring it.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    entry()
