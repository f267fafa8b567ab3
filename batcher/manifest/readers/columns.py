"""Names of columns and JSON keys: which is the prompt, which are inputs of the model, and which are carried along."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from batcher.core.suggest import fold_name, nearest
from batcher.manifest.inputs import ModelInputs
from batcher.manifest.schema.words import shown

_MOST_COMPARED = 200  # names of one file that are compared with those of inputs: each comparison costs


@dataclass(frozen=True, slots=True)
class Layout:
    """What each name of a header or of a JSON object stands for.

    prompt, id: the names that hold them, or None.
    inputs: pairs of the model's name and the name in the file, the prompt not among them.
    meta: names that are carried along.
    wrong: (name, what, mend) of names that can't be told apart.
    """

    prompt: str | None
    id: str | None
    inputs: tuple[tuple[str, str], ...]
    meta: tuple[str, ...]
    wrong: tuple[tuple[str, str, str], ...]


def layout(names: Sequence[str], model_inputs: ModelInputs, prompt_column: str | None) -> Layout:
    prompt = find_prompt(names, prompt_column)
    by_fold = {fold_name(name): name for name in model_inputs.columns if name != "prompt"}
    inputs: dict[str, str] = {}
    meta, wrong, ident = [], [], None
    for name in names:
        known = name if name in by_fold.values() else by_fold.get(fold_name(name))
        if name == prompt:
            continue
        if known is not None and known in inputs:
            what = f"both `{word(inputs[known])}` and `{word(name)}` are the input `{known}`"
            wrong.append((name, what, "keep one of them"))
        elif known is not None:
            inputs[known] = name
        elif name.casefold() == "id" and ident is None:
            ident = name
        else:
            meta.append(name)
    return Layout(prompt, ident, tuple(inputs.items()), tuple(meta), tuple(wrong))


def find_prompt(names: Sequence[str], prompt_column: str | None) -> str | None:
    """The name that holds the prompt: as told, else ``prompt`` or ``prompts`` in any letter case."""
    if prompt_column is not None:
        if prompt_column in names:
            return prompt_column
        wanted = [prompt_column.casefold()]
    else:
        wanted = ["prompt", "prompts"]
    for want in wanted:
        if want in names:
            return want
        found = next((name for name in names if name.casefold().strip() == want), None)
        if found is not None:
            return found
    return None


def no_id(key: str | None, value: object, prompt_column: str | None) -> tuple[str, str] | None:
    """What is wrong, and how to mend it, where a JSON object of ids has the key of a prompt's text among them: it is
    one prompt, and each of its fields would be made, and paid for, as a prompt of its own.
    """
    if key is None or not isinstance(value, (str, list)) or find_prompt([key], prompt_column) is None:
        return None
    what = f"`{word(key)}` is what a prompt's text is called, not the id of one"
    return what, "put one prompt in [ ]; of several give the list alone, or an object of ids and prompts"


def warn_of_near_misses(label: str, meta: Iterable[str], model_inputs: ModelInputs) -> None:
    """A misspelt input becomes meta without a sound, and the whole run is made without it: say so."""
    names = [name for name in model_inputs.columns if name != "prompt"]
    for name in islice(meta, _MOST_COMPARED):
        near = nearest(name, names) if len(name) > 2 else None
        if near is not None:
            model_inputs.warn(f"{label}: `{word(name)}` goes to meta; did you mean `{near}`?")


def word(name: str) -> str:
    """A name from outside, as it may be printed between back quotes."""
    return shown(name)[1:-1]
