"""The command line as a table. A command's module is imported when that command is used, not before."""

from importlib import import_module
from pathlib import Path

import click

from batcher.core.command_line import command_line
from batcher.core.version import __version__

GROUPS = {
    "Make images": {
        "init": "Write a starter manifest to copy from.",
        "plan": "Check everything and say what a run would do and cost. Spends nothing.",
        "run": "Turn a manifest into images with sidecars; run it again to resume.",
        "status": "Show how far a run is, and why jobs failed.",
    },
    "Change a run": {
        "more": "Add drawn seeds where no image was picked, for the next run.",
        "tune": "Change a going run: rate, budget, deadline, pause.",
        "retry": "Reopen failed, cancelled or in-doubt jobs.",
        "cancel": "Cancel what is still queued at the service.",
    },
    "Use the images": {
        "view": "Look at a run in the browser; pick, reject, retry, ask for more.",
        "pick": "Say which images are keepers: by an expression, a file, or a score.",
        "grid": "Draw labelled contact sheets of a run.",
        "export": "Write a run as datasets, trainers or benchmarks read it.",
        "verify": "Check every image and sidecar; fix what can be fetched again free.",
    },
    "Help": {
        "models": "List the service's models; show one's price and inputs.",
        "doctor": "Check token, service, clock, disk and versions; of a run, what needs you.",
        "simulate": "Serve a simulator of the Model API on this machine.",
        "completion": "Print the completion script for your shell.",
        "help": "Read the manual in the terminal.",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
_FUNCTIONS = {"help": "help_command"}  # where a function can't have the name of its command


class Lazy(click.Group):
    """The group of all commands. It imports the module of a command only when that command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        widest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in COMMANDS and not word.startswith("-") and (advice := _advice(word)):
            raise click.UsageError(f"{word} is not a command. {advice}", ctx)
        if word not in COMMANDS and not word.startswith("-"):
            raise click.exceptions.NoSuchCommand(word, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


def load(name: str) -> click.Command:
    """A command by its name. Raises KeyError for one that does not exist."""
    command = getattr(import_module(f"batcher.commands.{name}"), _FUNCTIONS.get(name, name))
    assert isinstance(command, click.Command)
    return command


def _advice(word: str) -> str:
    """What to type instead of ``word``, if it is a file or a run directory; else empty."""
    from batcher.commands.run_argument import is_run

    path = Path(word)
    try:
        if is_run(path):
            return f"It is a run. Go on with it: {command_line('run', word)}"
        if path.is_file() or path.is_dir():
            return f"Did you mean: {command_line('run', word)}"
    except (OSError, ValueError):
        pass
    return ""


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Try it without an account:  batcher run jobs/quickstart.yaml --simulate
Read the manual:            batcher help""",
)
@click.version_option(__version__, prog_name="batcher")
def cli() -> None:
    """A batch job runner for prompt files: a manifest in, images and metadata sidecars out.

    It never pays twice and never loses what was paid for. The same command is the resume.
    """
