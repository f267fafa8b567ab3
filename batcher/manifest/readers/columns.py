"""Names of columns and JSON keys: which is the prompt, which are inputs of the model, and which are metadata."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from shlex import quote

from batcher.core.suggest import fold_name, listed, nearest, printable, quoted
from batcher.manifest.readers.lookalikes import table_header
from batcher.manifest.readers.special_columns import PROMPTS, kind_of_name, text_columns
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.media import takes_files_by_name

_MOST_COMPARED = 200  # names of one file that are compared with those of inputs: each comparison costs
_HOW = {
    "steps", "numinferencesteps", "cfgscale", "cfg", "guidancescale", "sampler", "samplername", "scheduler",
    "strength", "denoisingstrength", "clipskip", "vae", "lora", "loras", "quality", "outputformat", "guidance",
    "orientation", "duration", "numframes", "fps",
}  # fmt: skip
# A number under such a name may be meant as a number of images; `repeat` is what asks for copies.
_COPIES = frozenset({"n", "images", "variations", "variants", "samples", "qty", "quantity"})


@dataclass(frozen=True, slots=True)
class Layout:
    """What each name of a header or a JSON object stands for.

    prompt, id: the names that hold them, or None.
    inputs: pairs of the model's name and the name in the file, without the prompt.
    special: pairs of a kind (``special_columns.py``) and the name in the file.
    meta: names of metadata.
    wrong: name, what is wrong and how to fix it, for names that clash or are refused.
    """

    prompt: str | None
    id: str | None
    inputs: tuple[tuple[str, str], ...]
    special: tuple[tuple[str, str], ...]
    meta: tuple[str, ...]
    wrong: tuple[tuple[str, str, str], ...]

    def named(self) -> dict[str, str | None]:
        """The name in the file of each input and kind, of the prompt (``prompt``) and of the id (``id``)."""
        return {**dict(self.special), "prompt": self.prompt, "id": self.id, **dict(self.inputs)}

    def became(self) -> dict[str, str]:
        """By name in the file, what it stands for: ``prompt``, ``input seed``, ``meta``."""
        words = dict.fromkeys(self.meta, "meta")
        words |= {name: f"input {column}" for column, name in self.inputs}
        words |= {name: f"input {kind}" if kind not in _INDIRECT else kind for kind, name in self.special}
        return words | {name: what for name, what in ((self.id, "id"), (self.prompt, "prompt")) if name is not None}


_INDIRECT = {"model", "repeat", "size", "width", "height", "pictures"}


def layout(
    names: Sequence[str], model_inputs: ModelInputs, prompt_column: str | None, aside: Collection[str]
) -> Layout:
    """The layout of names. prompt_column: as the user named it. aside: names that the user declared to be metadata."""
    prompt = find_prompt(names, prompt_column, model_inputs.prompt or "prompt")
    columns = {name: name for name in model_inputs.columns if name != "prompt"}
    by_fold = {fold_name(name): name for name in columns}
    taken: dict[str, str] = {}  # by input or kind, the name in the file
    inputs: list[tuple[str, str]] = []
    special: list[tuple[str, str]] = []
    meta, wrong, ident = [], [], None
    for name in names:
        column = columns.get(name) or by_fold.get(fold_name(name.strip()))
        kind = column or kind_of_name(name)
        if name == prompt:
            continue
        if name in aside:
            meta.append(name)
        elif prompt is not None and prompt_column is None and fold_name(name.strip()) in PROMPTS:
            mend = f"keep one of them, or name the prompts with --prompt-column {quote(printable(prompt))}"
            wrong.append((name, f"both {quoted(prompt)} and {quoted(name)} are the prompt", mend))
        elif ident is None and column is None and name.strip().casefold() == "id":
            ident = name
        elif kind is None:
            meta.append(name)
        elif kind in taken:
            what = f"both {quoted(taken[kind])} and {quoted(name)} are the input `{kind}`"
            wrong.append((name, what, "keep one of them"))
        else:
            taken[kind] = name
            (special if column is None else inputs).append((kind, name))
    if model_inputs.schema is None:
        wrong += [(name, *_unknown_here(name)) for name in meta if name not in aside and is_of_other_models(name)]
    return Layout(prompt, ident, tuple(inputs), tuple(special), tuple(meta), tuple(wrong))


def is_of_other_models(name: str) -> bool:
    """Whether many models, or other tools, have an input of that name, though the one at hand has none."""
    return fold_name(name.strip()) in _HOW or takes_files_by_name(name.strip().replace(" ", "_").replace("-", "_"))


def _unknown_here(name: str) -> tuple[str, str]:
    what = f"the model's inputs are not known here, and {quoted(name)} is an input of many models"
    flag = quote(printable(name))
    return what, f"--no-schema-check {flag} sends it to the model, and --meta {flag} keeps it as metadata"


def find_prompt(names: Sequence[str], prompt_column: str | None, prompt: str = "prompt") -> str | None:
    """The name that holds the prompt: ``prompt_column`` if given, else the model's input, ``prompt`` or ``prompts``.

    Names count in any letter case. None if there is no such name.
    """
    if prompt_column is not None:
        if prompt_column in names:
            return prompt_column
        wanted = [prompt_column.casefold()]
    else:
        wanted = list(dict.fromkeys([prompt.casefold(), "prompt", "prompts"]))
    for want in wanted:
        if want in names:
            return want
        match = next((name for name in names if name.casefold().strip() == want), None)
        if match is not None:
            return match
    return None


def no_prompt(names: Sequence[str], prompt_column: str | None, prompt: str | None) -> tuple[str, str]:
    """What is wrong and how to fix it, if no name holds the prompts."""
    wanted = printable(prompt_column or prompt or "prompt")
    if prompt_column is None and len(names) == 1 and (header := table_header(names[0])) is not None:
        return "its columns have another separator", f"--format {header[0]} reads them ({printable(header[1])})"
    near = nearest(prompt_column, names) if prompt_column is not None else None
    texts = [near] if near is not None else text_columns(list(names))
    flag = prompt_flag(texts)
    mend = f"name the column with {flag} (or prompt_column:); the columns are {listed(names[:20]) or 'none'}"
    if len(names) == 1 and not texts:
        mend += "; if that is a prompt, write `prompt` into a line above it"
    return f"no column is called `{wanted}`", mend


def prompt_flag(texts: Sequence[str]) -> str:
    """The flag that names the column of prompts. texts: columns that may be it."""
    return f"--prompt-column {quote(printable(texts[0]))}" if texts else "--prompt-column"


def no_id(key: str | None, value: object, prompt_column: str | None) -> tuple[str, str] | None:
    """What is wrong and how to fix it, if an object of ids and prompts has a key such as ``prompt``. Such an object is
    one prompt, and each of its fields would be paid for as a prompt of its own.
    """
    if key is None or not isinstance(value, (str, list)) or find_prompt([key], prompt_column) is None:
        return None
    if isinstance(value, list):
        return (
            f"the prompts are in the list {quoted(key)}",
            f"extract it: jq '.{printable(key)}' FILE > prompts.json",
        )
    what = f"{quoted(key)} is a name for a prompt's text, not an id"
    return what, "put one prompt in [ ]; of several give only the list, or an object of ids and prompts"


def note_columns(label: str, columns: Layout, model_inputs: ModelInputs, aside: Collection[str]) -> None:
    """Records what each column of a file became, and warns of columns that become metadata and may be inputs.

    label: how messages name the file. aside: as for ``layout``.
    """
    model_inputs.note(label, columns.became())
    unclear = [name for name in columns.meta if name not in aside]
    if unclear and model_inputs.schema is None:
        some = listed(unclear[:5]) + (", ..." if len(unclear) > 5 else "")
        why = "the model's inputs are not known here, so this may be one of them"
        model_inputs.warn(f"{label}: {some} goes to meta, not to the model: {why} (in YAML every such name is sent)")
    names = [name for name in model_inputs.columns if name != "prompt"]
    for name in islice(columns.meta, _MOST_COMPARED):
        near = nearest(name, names) if len(name) > 2 else None
        if near is not None:
            model_inputs.warn(f"{label}: {quoted(name)} goes to meta; did you mean `{near}`?")
        elif name not in aside and is_of_other_models(name):
            model_inputs.warn(f"{label}: {quoted(name)} goes to meta: the model has no such input")
        elif name not in aside and fold_name(name.strip()) in _COPIES:
            model_inputs.warn(f"{label}: {quoted(name)} goes to meta: a column `repeat` asks for a number of images")
