"""``batcher init``: a manifest and a prompt file to start from."""

from pathlib import Path
from shlex import quote

import click

from batcher.commands.printing import json_option, say, say_json
from batcher.core.errors import UsageError

MANIFEST = """\
# A manifest: which images to make. Try it first, it costs nothing:
#
#   batcher plan batch.yaml                what it comes to, and every error with its place
#   batcher run batch.yaml --simulate      a rehearsal: no account, images stamped SIMULATED
#   batcher run batch.yaml -o runs/real    the real thing; needs a token: batcher help service
#
# Run the same command again to resume. What is done is never paid for twice.

model: google-deepmind/imagen-4/fast/text-to-image

# Inputs of every job. A prompt's own values win.
defaults:
  negative_prompt: text, watermark

prompts:
  - a red kite over a harbour at dawn

  - prompt: a heron in the {weather}
    id: heron                      # its name in file names
    vars: {weather: [mist, rain]}  # each value is a prompt of its own
    meta: {category: birds}        # carried to the records, never sent

  - file: prompts.csv              # one prompt a row; columns named like an input are inputs

# Each prompt once for each combination: 2 ratios x 2 seeds here.
matrix:
  aspect_ratio: [16:9, 1:1]
  seed: 1..2

output:
  path: "{prompt_id}/{aspect_ratio}_s{seed}"

# Limits. The same names with -- in front are flags of `batcher run`, and a flag wins.
run:
  rate: 2/s        # submits
  budget: 5        # US dollars: never commits more, earlier runs of this directory included
  price: 0.05      # of one image, used only where the catalogue has no price
"""

PROMPTS = """\
prompt,id,aspect_ratio,category
"a lighthouse in a storm, oil on canvas",lighthouse,16:9,places
an old typewriter on a wooden desk,typewriter,1:1,things
street food vendor at dusk,vendor,,places
"""

FILES = {"batch.yaml": MANIFEST, "prompts.csv": PROMPTS}


@click.command(epilog="\b\nExamples:\n  batcher init\n  batcher init night")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@json_option
def init(folder: str, as_json: bool) -> int:
    """Write a commented starter manifest and a prompt file to DIR (here, by default). Overwrites nothing."""
    made = [Path(folder) / name for name in FILES]
    if there := [str(path) for path in made if path.exists()]:
        verb = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"{' and '.join(there)} {verb} there already", hint="Nothing was written. Choose another folder."
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path in made:
        with path.open("x", encoding="utf-8") as file:
            file.write(FILES[path.name])
    facts: dict[str, object] = {
        "files": [str(path) for path in made],
        "next": f"{_go_to(folder)}batcher run batch.yaml --simulate",
    }
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _go_to(folder: str) -> str:
    return "" if Path(folder) == Path() else f"cd {quote(folder)} && "


def _words(facts: dict[str, object]) -> str:
    files = facts["files"]
    assert isinstance(files, list)
    return "\n".join(
        [*(f"wrote {name}" for name in files), "Try it, free and without an account:", f"  {facts['next']}"]
    )
