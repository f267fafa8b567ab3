"""``batcher completion``: what a shell needs to complete commands, flags, run directories and model ids."""

from pathlib import Path

import click

SHELLS = ("bash", "zsh", "fish")

FILES = Path(__file__).with_name("files")


@click.command(
    epilog="""\b
Examples, for each shell the line that installs it:
  echo 'eval "$(batcher completion bash)"' >> ~/.bashrc
  echo 'eval "$(batcher completion zsh)"' >> ~/.zshrc
  batcher completion fish > ~/.config/fish/completions/batcher.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish."""
    if shell != "fish":
        # Click's own scripts put a blank behind `NAME=`, and the one for bash can't complete what follows `=`, where
        # bash begins a new word. These ask click in the same way.
        click.echo((FILES / f"completion.{shell}").read_text("utf-8"), nl=False)
        return

    from click.shell_completion import FishComplete

    click.echo(FishComplete(ctx.find_root().command, {}, "batcher", "_BATCHER_COMPLETE").source())
