"""``batcher`` and ``python -m batcher``: the one place where exceptions become messages and exit codes."""

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # start-up time
    import click

    from batcher.core.errors import BatcherError

# What people type who come from other tools. "*" is any command.
_INSTEAD = {
    ("run", "--dry-run"): "`batcher plan MANIFEST` says what a run would do and cost.",
    ("run", "-n"): "Write `--limit N` for the first N jobs.",
    ("plan", "-n"): "Write `--limit N` for the first N jobs.",
    ("*", "--quiet"): "Write `--progress none`.",
    ("*", "-q"): "Write `--progress none`.",
    ("*", "--yes"): "It asks nothing.",
}
LAST = 10.0  # seconds that the end of the process may take when all is done
_INPUTS = ("seed", "aspect-ratio", "negative-prompt", "prompt", "width", "height")  # of models, not flags of ours


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code (see ``batcher help exit-codes``)."""
    import click

    from batcher.commands.cli import cli

    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        code = cli.main(args=words, prog_name="batcher", standalone_mode=False, obj=tuple(words))
    except click.exceptions.Exit as ending:
        code = ending.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _explain_interruption(as_json=as_json)
    except Exception as error:  # noqa: BLE001  all that goes wrong is explained here, or shown as a defect
        code = _explain(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _explain(error: Exception, *, as_json: bool) -> int:
    import click

    from batcher.core.errors import BatcherError, DiskError, FileRefused, UsageError
    from batcher.store.machine import machine_problem

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message())
        return 64
    if isinstance(error, click.UsageError):
        error = _usage(error)
    elif isinstance(error, FileRefused):
        error = UsageError(error.cause.message, hint="Choose another name.")
    elif problem := machine_problem(error):
        error = problem
    elif isinstance(error, OSError) and error.filename is not None:
        # What the system forbids where nobody expected it: a message is of more use than a traceback.
        reason = f"{error.filename}: {error.strerror}"
        error = DiskError(reason, hint="Check the path, its permissions and the free space on its disk.")
    if not isinstance(error, BatcherError):
        _explain_defect()
        return 1
    return _say(error, as_json=as_json)


def _usage(error: "click.UsageError") -> "BatcherError":
    """A mistake on the command line, with what to type instead where that is known."""
    import click

    from batcher.core.errors import UsageError

    path = error.ctx.command_path if error.ctx is not None else "batcher"
    hint = f"See `{path} --help`."
    if isinstance(error, click.NoSuchOption):
        option, command = error.option_name, path.rpartition(" ")[2]
        instead = _INSTEAD.get((command, option)) or _INSTEAD.get(("*", option))
        if command in {"run", "plan"} and option.lstrip("-") in _INPUTS:
            instead = f"An input for every job is set with `--set {option.lstrip('-').replace('-', '_')}=VALUE`."
        if instead:
            return UsageError(error.message, hint=f"{instead} {hint}")
    return UsageError(error.format_message(), hint=hint)


def _explain_interruption(*, as_json: bool) -> int:
    from batcher.core.errors import Interrupted

    hint = "What is done is kept. Run the same command again: it goes on from there."
    return _say(Interrupted("interrupted before the end", hint=hint), as_json=as_json)


def _say(error: "BatcherError", *, as_json: bool) -> int:
    from batcher.core.errors import ManifestError
    from batcher.core.one_line import one_line

    if as_json:
        from batcher.commands.printing import say_json

        facts: dict[str, object] = {"exit_code": error.exit_code, "error": error.message, "hint": error.hint}
        if isinstance(error, ManifestError):
            facts["errors"] = [asdict(problem) for problem in error.problems]
        say_json(facts)
    prefix = "" if isinstance(error, ManifestError) else "batcher: "
    for line in f"{prefix}{error}".splitlines():
        print(one_line(line, 4000), file=sys.stderr)
    return error.exit_code


def _explain_defect() -> None:
    import traceback

    from batcher.core.version import __version__

    traceback.print_exc()
    print(
        f"\nbatcher {__version__}: this is a defect in batcher. Please report it with the lines above.\n"
        "What was paid for is kept: the run directory can be resumed.",
        file=sys.stderr,
    )


def _with_utf8_names() -> None:
    """Restarts the command in UTF-8 mode where the locale has another encoding for file names."""
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        # The terminal goes on getting the encoding that it shows.
        environ = {"PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace", **os.environ}
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environ)  # noqa: S606  itself


def entry() -> NoReturn:
    """The console script."""
    from batcher.commands import streams

    gc.set_threshold(20_000, 20, 50)  # at full speed the default costs a tenth of the processor time
    streams.prepare()
    _with_utf8_names()

    # As Ctrl-C, so that the run ends cleanly. Where it was ignored at the start (nohup, a parent), it stays ignored.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = main()
    # All is written: a second signal must not change the exit code while Python ends.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    gc.freeze()  # Python would go through everything once more before it ends: a tenth of a second
    # Python waits for threads without end, and a disk or a bucket that never answers may keep one.
    last = threading.Timer(LAST, os._exit, [code])
    last.daemon = True
    with contextlib.suppress(RuntimeError):  # the system gives no thread
        last.start()
    sys.exit(code)


if __name__ == "__main__":
    entry()
