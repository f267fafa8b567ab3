"""Commands as messages name them: to be pasted into a shell, whatever the names in them."""

import shlex


def command_line(*words: object) -> str:
    """``batcher retry 'runs/my run' --cause gone``. Words that are None are left out."""
    return shlex.join(["batcher", *(str(word) for word in words if word is not None)])


def repair(*runs: object) -> str:
    """The command that fetches again, free, what a run lost."""
    return command_line("verify", *runs, "--repair")
