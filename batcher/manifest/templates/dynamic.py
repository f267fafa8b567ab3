"""``dynamic:``: prompts that are templates. Each variant of a template is a prompt of its own.

It is off by default, because the prompt files of benchmarks are full of braces and dollars. A template that makes more
than ``most`` variants is an error that says how many, as each of them costs money; ``sample`` draws some of them
instead, the same ones for the same ``from``. Only ``prompt`` is a template: a user would not expect a negative prompt
to multiply the jobs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from batcher.core.errors import ManifestError
from batcher.core.job import canonical_json
from batcher.manifest.problems import Problems
from batcher.manifest.readers.rows import Row, with_line_ends_alike
from batcher.manifest.readers.texts import TextFolder, TextLines
from batcher.manifest.schema.inputs import LONGEST_PROMPT, ModelInputs
from batcher.manifest.templates.choices import MANY, Text, different_texts, some
from batcher.manifest.templates.templates import BadTemplate, Template, is_dynamic
from batcher.manifest.templates.wildcards import Wildcards

VARIANT = "variant"  # the field of ``output.path`` for the texts that were chosen
MOST = 1_000_000
_LONGEST_VARIANT = 4_096  # characters of that field: more than a path takes


class Variants:
    """What one prompt becomes: its different texts, each with the choices made in it.

    text: the template, read. setting: how many are made. about: the template as written, on which draws depend.
    ``bound``: the most that there can be.
    """

    def __init__(self, text: Text, setting: "Dynamic", about: str) -> None:
        self._text, self._setting, self._about = text, setting, about
        self.bound = text.count if setting.sample is None else min(setting.sample, text.count)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        sample = self._setting.sample
        if sample is None:
            made = different_texts(self._text.variants())
        else:
            about = canonical_json(["dynamic", self._setting.start, self._about])
            made = some(self._text, sample, about.encode(errors="replace"))
        chosen = [at for at, part in enumerate(self._text.parts) if not isinstance(part, str)]
        for parts in made:
            yield "".join(parts), "_".join(" ".join(parts[at].split()) for at in chosen)[:_LONGEST_VARIANT]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """How the prompts of a manifest, of a file or one prompt are read.

    wildcards: the folder of lists. most: the most variants of one prompt; more are an error. sample: the number of
    variants to draw, None for all. start: ``from`` of the draw.
    """

    wildcards: Wildcards
    most: int = 1_000
    sample: int | None = None
    start: int = 0

    def expand(self, row: Row, model_inputs: ModelInputs, problems: Problems) -> bool:
        """Gives the row its variants. False where no prompt is left: the row has only comments, or can't be read (then
        the problems say why).
        """
        prompt = row.inputs.get("prompt")
        if not isinstance(prompt, str) or not is_dynamic(prompt):
            return True
        template = Template(prompt, self.wildcards.choice, frozenset(row.vars))
        try:
            text = template.read()
            self._bounded(text)
        except BadTemplate as error:
            place, where = _place(row, prompt, error.column - 1)
            problems.add(*place, error.what + where, error.mend)
            return False
        except ManifestError as error:
            problems.take(error)
            return False
        if template.comments:
            what = "lines of dynamic prompts that begin with # are left out as comments; \\# is text"
            model_inputs.warn(f"{row.source}: {what}")
            if text.count == 1 and not "".join(next(text.variants())).strip():
                return False
        row.variants = Variants(text, self, prompt)
        return True

    def _bounded(self, text: Text) -> None:
        if text.size > 2 * LONGEST_PROMPT:
            raise BadTemplate(0, "its variants are longer than 1 MB, the most that batcher sends", "choose less")
        if self.sample is None and text.count > self.most:
            many = f"{text.count:,}" if text.count < MANY else f"more than {MANY - 1:,}"
            most = f"`dynamic: {{most: {text.count}}}` makes them all, " if text.count <= MOST else ""
            mend = f"{most}`dynamic: {{sample: 20, from: 7}}` draws 20 of them (in a YAML manifest)"
            raise BadTemplate(0, f"makes {many} prompts from one; the maximum is {self.most:,}", mend)


def _place(row: Row, prompt: str, at: int) -> tuple[tuple[str, int, int], str]:
    """Place of a character of the prompt. Where it is not known, as cells may be quoted, words that give its number."""
    file, line, column = row.place("prompt")
    if isinstance(row.reader, TextLines | TextFolder):
        before = with_line_ends_alike(prompt[:at]).split("\n")
        return (file, line + len(before) - 1, len(before[-1]) + 1), ""
    return (file, line, column), f" (character {at + 1:,} of the prompt)" if at else ""
