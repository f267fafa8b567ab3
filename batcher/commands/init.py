"""``batcher init``: a manifest and a prompt file to start from."""

from pathlib import Path
from shlex import quote

import click

from batcher.commands.printing import json_option, say, say_json
from batcher.core.errors import UsageError

SOURCE = Path(__file__).with_name("files")
NAMES = ("batch.yaml", "prompts.csv")


@click.command(epilog="\b\nExamples:\n  batcher init\n  batcher init night")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@json_option
def init(folder: str, as_json: bool) -> int:
    """Write a commented starter manifest and a prompt file to DIR (here, by default). Overwrites nothing."""
    made = [Path(folder) / name for name in NAMES]
    if there := [str(path) for path in made if path.exists()]:
        verb = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"{' and '.join(there)} {verb} there already", hint="Nothing was written. Choose another folder."
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path in made:
        with path.open("x", encoding="utf-8") as file:
            file.write((SOURCE / path.name).read_text("utf-8"))
    go_to = "" if Path(folder) == Path() else f"cd {quote(folder)} && "
    facts: dict[str, object] = {
        "files": [str(path) for path in made],
        "next": f"{go_to}batcher run batch.yaml --simulate",
    }
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _words(facts: dict[str, object]) -> str:
    files = facts["files"]
    assert isinstance(files, list)
    return "\n".join(
        [*(f"wrote {name}" for name in files), "Try it, free and without an account:", f"  {facts['next']}"]
    )
