"""JSON that is no list of prompts, in words: what was seen, and the flag or the command that helps."""

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from batcher.manifest.readers.columns import find_prompt, word
from batcher.manifest.readers.meanings import text_columns

_START = 2**16  # bytes that are looked at


def of_document(start: bytes) -> tuple[str, str] | None:
    """What is wrong with a .json file that has one JSON value a line, by its first bytes."""
    lines = [line for line in start[:_START].decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) > 1 and _object(lines[0]) is not None and lines[1].lstrip().startswith("{"):
        return "has one JSON object a line", "--format jsonl reads it (or call it .jsonl)"
    return None


def of_first_line(text: str) -> tuple[str, str] | None:
    """What is wrong with a .jsonl file whose first line is the beginning of a longer JSON value."""
    stripped = text.strip()
    if stripped in {"[", "{"} or (stripped.startswith(("[", "{")) and stripped.endswith((",", "[", "{"))):
        return "is one JSON value of several lines", "--format json reads it (or call it .json)"
    return None


def of_entry(key: str, value: Any) -> tuple[str, str] | None:
    """What is wrong with an object whose key holds what can be no prompt; None where it may be one."""
    if key == "run" and isinstance(value, str):
        return "this is the report of a run, not prompts", "give the records.jsonl of the same run directory"
    if isinstance(value, dict):
        alone = value and all(not isinstance(inner, dict | list) for inner in value.values())
        numbered = alone and all(name.isdigit() for name in value)
        if numbered and find_prompt([key], None) is not None:
            return f"`{word(key)}` holds a column", "write rows: DataFrame.to_json(path, orient='records')"
        return None
    if isinstance(value, list) and key in {"columns", "data"} and not has_texts(value):
        return f"`{word(key)}` holds a part of a table", "write rows: DataFrame.to_json(path, orient='records')"
    if isinstance(value, list) and value and all(isinstance(item, dict | str) for item in value):
        return (
            f"the prompts are in the list `{word(key)}`, it seems",
            f"extract it: jq '.{jq_key(key)}' FILE > prompts.json",
        )
    return None


def has_texts(value: Any) -> bool:
    """Whether a list holds objects with a prompt in them, by the names of their keys."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and (find_prompt(list(first), None) is not None or bool(text_columns(list(first))))


def of_row(value: Mapping[str, Any], prompt: str = "prompt") -> tuple[str, str] | None:
    """What is wrong with an object that has no prompt: where one is inside of it, or which key may hold it."""
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
        return (
            f"`prompt` is missing, and there is one in `{word(inside)}`",
            f"extract that: jq -c '.{jq_key(inside)}' FILE",
        )
    if not names:
        return None
    texts = text_columns([name for name in names if isinstance(value[name], str)])
    flag = f"--prompt-column {quote(word(texts[0]))}" if texts else "--prompt-column"
    listed = ", ".join(f"`{word(name)}`" for name in names[:12])
    prompt = word(prompt)
    return f"`{prompt}` is missing", f"add `{prompt}`, or name the key that holds it with {flag}; the keys are {listed}"


def _object(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def jq_key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key)
