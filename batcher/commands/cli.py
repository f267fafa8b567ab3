"""The command line as a table. A command's module is imported when that command is used, not before."""

from importlib import import_module

import click

from batcher.core.version import __version__

COMMANDS = {
    "run": "Turn a manifest into images with sidecars; run it again to resume.",
    "plan": "Check everything and say what a run would do and cost. Spends nothing.",
    "status": "Show how far a run is, and why jobs failed.",
    "retry": "Reopen failed, cancelled or in-doubt jobs.",
    "cancel": "Cancel what is still queued at the service.",
    "verify": "Check every image and sidecar against the state file, and mend what can be had free.",
    "prune": "Move aside what is no longer in the manifest.",
    "grid": "Draw labelled contact sheets of a run.",
    "export": "Write a run as datasets, trainers or benchmarks read it.",
    "simulate": "Serve a simulator of the Model API on this machine.",
}


class Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"batcher.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415  only for a typing error

            near = get_close_matches(args[0], COMMANDS, n=1)
            raise click.UsageError(f"no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it without an account:  batcher run jobs/quickstart.yaml --simulate",
)
@click.version_option(__version__, prog_name="batcher")
def cli() -> None:
    """A batch job runner for prompt files: a manifest in, images and metadata sidecars out.

    Never pays twice, never loses what was paid for; the same command is the resume.
    """
