"""``batcher completion``: what a shell needs to complete commands, flags, run directories and model ids."""

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Install it once:
  bash   batcher completion bash > ~/.local/share/bash-completion/completions/batcher
  zsh    batcher completion zsh > "${fpath[1]}/_batcher"
  fish   batcher completion fish > ~/.config/fish/completions/batcher.fish
Then open a new shell. Or for this shell only:  source <(batcher completion bash)"""
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415  start-up time

    from batcher.commands.cli import cli  # noqa: PLC0415  it imports this module by name

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(cli, {}, "batcher", "_BATCHER_COMPLETE").source())
