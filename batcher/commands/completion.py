"""``batcher completion``: what a shell needs to complete commands, flags, run directories and model ids."""

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  batcher completion bash > ~/.local/share/bash-completion/completions/batcher
  batcher completion zsh > "${fpath[1]}/_batcher"
  batcher completion fish > ~/.config/fish/completions/batcher.fish
  source <(batcher completion bash)         for this shell only"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415  start-up time

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(ctx.find_root().command, {}, "batcher", "_BATCHER_COMPLETE").source())
