"""``batcher help``: the manual in the terminal."""

import sys
from shutil import get_terminal_size

import click

from batcher.commands import manual
from batcher.commands.printing import say, table

WIDEST = 100  # columns of text


def _topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001  click's
    return [name for name in _names(ctx) if name.startswith(incomplete)]


def _names(ctx: click.Context) -> list[str]:
    return [*(page.name for page in manual.pages()), *_group(ctx).list_commands(ctx)]


def _group(ctx: click.Context) -> click.Group:
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    return group


@click.command("help", epilog="\b\nExamples:\n  batcher help\n  batcher help manifest\n  batcher help run")
@click.argument("topic", metavar="[TOPIC]", required=False, shell_complete=_topics)
@click.pass_context
def help_command(ctx: click.Context, topic: str | None) -> int:
    """Read the manual: the list of topics, or one page of it. A command's name shows its flags."""
    if topic is None:
        say(_contents())
        return 0
    text = manual.read(topic)
    if text is not None:
        _show(manual.shown(text, min(WIDEST, get_terminal_size().columns)))
    elif command := _group(ctx).get_command(ctx, topic):
        click.echo(command.get_help(click.Context(command, ctx.find_root(), topic)))
    else:
        words = f"There is no topic {topic!r}. `batcher help` lists them."
        raise click.exceptions.NoSuchCommand(topic, words, _names(ctx), ctx)
    return 0


def _contents() -> str:
    lines = table([(page.name, page.title) for page in manual.pages()], "  ")
    return "\n".join(["Topics of the manual, to read with `batcher help TOPIC`:", "", *lines, "", _COMMANDS])


_COMMANDS = "For the flags of a command: `batcher help COMMAND`. For all commands: `batcher --help`."


def _show(text: str) -> None:
    if sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        encoding = sys.stdout.encoding or "utf-8"
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)
