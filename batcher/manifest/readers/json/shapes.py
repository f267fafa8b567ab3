"""JSON that is not a list of prompts: what it is instead, and the flag or command that helps.

Each function returns both texts, or None where a value may be a prompt.
"""

import json
from collections.abc import Mapping
from typing import Any

from batcher.core.suggest import listed, printable, quoted
from batcher.manifest.readers.columns import find_prompt, prompt_flag
from batcher.manifest.readers.special_columns import text_columns


def of_document(start: bytes) -> tuple[str, str] | None:
    """For a .json file that has one JSON object a line. start: the first bytes of the file."""
    lines = [line.strip() for line in start.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) < 2 or not (lines[0].startswith("{") and lines[1].startswith("{")):
        return None
    try:
        json.loads(lines[0])
    except (ValueError, RecursionError):
        return None
    return "has one JSON object a line", "--format jsonl reads it (or call it .jsonl)"


def of_first_line(text: str) -> tuple[str, str] | None:
    """For a .jsonl file whose first line begins a JSON value of several lines."""
    stripped = text.strip()
    if stripped in {"[", "{"} or (stripped.startswith(("[", "{")) and stripped.endswith((",", "[", "{"))):
        return "is one JSON value of several lines", "--format json reads it (or call it .json)"
    return None


def of_entry(key: str, value: Any) -> tuple[str, str] | None:
    """For an object of ids and prompts in which the value of a key is no prompt."""
    if key == "run" and isinstance(value, str):
        return "this is the report of a run, not prompts", "give the records.jsonl of the same run directory"
    if isinstance(value, dict):
        alone = value and all(not isinstance(inner, dict | list) for inner in value.values())
        numbered = alone and all(name.isdigit() for name in value)
        if numbered and find_prompt([key], None) is not None:
            return f"{quoted(key)} holds a column", "write rows: DataFrame.to_json(path, orient='records')"
        return None
    if isinstance(value, list) and key in {"columns", "data"} and not has_texts(value):
        return f"{quoted(key)} holds a part of a table", "write rows: DataFrame.to_json(path, orient='records')"
    if isinstance(value, list) and value and all(isinstance(item, dict | str) for item in value):
        what = f"the prompts are in the list {quoted(key)}, it seems"
        return what, f"extract it: jq '.{jq_key(key)}' FILE > prompts.json"
    return None


def has_texts(value: Any) -> bool:
    """Whether a list begins with an object that has a prompt, by the names of its keys."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and (find_prompt(list(first), None) is not None or bool(text_columns(list(first))))


def of_row(value: Mapping[str, Any], prompt: str = "prompt") -> tuple[str, str] | None:
    """For an object without a prompt: the object inside of it that has one, or the key that may hold it.

    prompt: the model's name for the prompt.
    """
    names = list(value)
    if {"job", "output_index", "pick"} <= value.keys():
        return "these are verdicts on images, not prompts", "give the records.jsonl of the same run directory"
    body = value.get("body")
    if isinstance(body, dict) and "custom_id" in value:
        mend = "its prompts are in `body`: jq -c '{id: .custom_id, prompt: .body.prompt}' FILE > prompts.jsonl"
        return "`prompt` is missing: this is a request of an OpenAI batch", mend
    inside = next(
        (name for name, inner in value.items() if isinstance(inner, dict) and find_prompt(list(inner), None)), None
    )
    if inside is not None:
        what = f"`prompt` is missing, and there is one in {quoted(inside)}"
        return what, f"extract that: jq -c '.{jq_key(inside)}' FILE"
    if not names:
        return None
    flag = prompt_flag(text_columns([name for name in names if isinstance(value[name], str)]))
    prompt = printable(prompt)
    return (
        f"`{prompt}` is missing",
        f"add `{prompt}`, or name the key that holds it with {flag}; the keys are {listed(names[:12])}",
    )


def jq_key(key: str) -> str:
    """A key as it stands behind the dot in a jq filter."""
    return key if key.isidentifier() else json.dumps(key)
