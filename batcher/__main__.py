"""``batcher`` and ``python -m batcher``: the one place where exceptions become messages and exit codes."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code (README, "Exit codes")."""
    import click  # noqa: PLC0415  start-up time is part of the product

    from batcher.cli import cli  # noqa: PLC0415
    from batcher.errors import BatcherError  # noqa: PLC0415

    told = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=told, prog_name="batcher", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        _explain_usage(error)
        return 64
    except (click.Abort, KeyboardInterrupt):
        print("batcher: interrupted", file=sys.stderr)
        return 130
    except BatcherError as error:
        return _explain(error, as_json="--json" in told)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001  a defect: the only traceback a person ever sees
        _explain_defect()
        return 1


def _explain_usage(error: "click.UsageError") -> None:  # type: ignore[name-defined]  # noqa: F821  imported when needed
    command = error.ctx.command_path if error.ctx is not None else "batcher"
    print(f"batcher: {error.format_message()}", file=sys.stderr)
    print(f"`{command} --help` shows what it takes.", file=sys.stderr)


def _explain(error: Exception, *, as_json: bool) -> int:
    from batcher.errors import BatcherError, ManifestError  # noqa: PLC0415
    from batcher.protocol import one_line  # noqa: PLC0415

    assert isinstance(error, BatcherError)
    if as_json:
        import json  # noqa: PLC0415
        from dataclasses import asdict  # noqa: PLC0415

        facts: dict[str, object] = {"exit_code": error.exit_code, "error": error.message, "hint": error.hint}
        if isinstance(error, ManifestError):
            facts["errors"] = [asdict(problem) for problem in error.problems]
        print(json.dumps(facts, indent=2))
    prefix = "" if isinstance(error, ManifestError) else "batcher: "
    for line in f"{prefix}{error}".splitlines():
        print(one_line(line, 4000), file=sys.stderr)
    return error.exit_code


def _explain_defect() -> None:
    import traceback  # noqa: PLC0415

    from batcher import __version__  # noqa: PLC0415

    traceback.print_exc()
    print(
        f"\nbatcher {__version__}: this is a defect in batcher. Please report it with the lines above.\n"
        "What was paid for is kept: the run directory can be resumed.",
        file=sys.stderr,
    )


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
