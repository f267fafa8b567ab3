"""Commands in messages, quoted so that they can be pasted into a shell."""

import shlex


def command_line(*words: object) -> str:
    """``batcher retry 'runs/my run' --cause gone``. Words that are None are left out."""
    return shlex.join(["batcher", *(str(word) for word in words if word is not None)])


def repair(*runs: object) -> str:
    """The command that fetches missing and damaged files of runs again, free."""
    return command_line("verify", *runs, "--repair")
