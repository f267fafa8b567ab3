"""A model's inputs as keys of a manifest, and a manifest that uses them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from batcher.manifest.schema.inputs import ModelInputs

if TYPE_CHECKING:  # aiohttp
    from batcher.client.model_list import Model

EXAMPLE_URL = "https://example.com/picture.png"
MOST_CHOICES = 20


@dataclass(frozen=True, slots=True)
class Input:
    """One input. key: in a manifest. name: the model's own. words: type, range, choices, default, in one line.

    kind: its type, in words. required: whether the model needs it. media: whether it takes URLs of files. choices: all
    values, empty for any. low, high: of a number, None for no bound. default: None for none.
    """

    key: str
    name: str
    kind: str
    required: bool
    media: bool
    choices: tuple[Any, ...]
    low: int | None
    high: int | None
    default: Any

    @property
    def words(self) -> str:
        parts = ["the URL of a file" if self.media and "text" in self.kind else self.kind]
        if self.media and "list" in self.kind:
            parts = ["URLs of files"]
        if self.choices:
            more = f" and {len(self.choices) - MOST_CHOICES} more" if len(self.choices) > MOST_CHOICES else ""
            parts = ["one of " + ", ".join(_plain(value) for value in self.choices[:MOST_CHOICES]) + more]
        if self.low is not None or self.high is not None:
            parts.append(f"{'' if self.low is None else self.low} to {'' if self.high is None else self.high}".strip())
        if self.required:
            parts.append("needed")
        elif self.default not in (None, "") and self.key != "prompt":
            parts.append(f"default {_plain(self.default)}")
        if self.key != self.name:
            parts.append(f"sent as {self.name}")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key, "name": self.name, "type": self.kind, "required": self.required, "file": self.media,
            "choices": list(self.choices) or None, "minimum": self.low, "maximum": self.high, "default": self.default,
        }  # fmt: skip


def inputs_of(schema: ModelSchema) -> list[Input]:
    """The inputs in the order of the schema, that of the prompts first."""
    inputs = ModelInputs(schema)
    lines = []
    for name, one in schema.inputs.items():
        low, high = one.bounds
        key = "prompt" if name == inputs.prompt else name
        required = name in schema.required or key == "prompt"
        lines.append(Input(key, name, one.kind, required, one.is_media, one.allowed or (), low, high, one.default))
    return sorted(lines, key=lambda one: one.key != "prompt")


def manifest_for(model: "Model") -> str:
    """YAML that ``batcher plan`` takes, with every input of the model in it as a comment or as an example."""
    lines = [f"# {model.model_id}: {model.price_words or 'price not given by the catalogue'}"]
    if model.model_id != DEFAULT_MODEL or model.schema is None:
        lines.append(f"model: {model.model_id}")
    inputs = inputs_of(model.schema) if model.schema is not None else []
    settings = [one for one in inputs if one.key != "prompt" and not (one.required and one.media)]
    needed = [one for one in settings if one.required]
    if settings:
        lines += ["", "defaults:" if needed else "# defaults:"]
        lines += [
            f"{'' if one.required else '# '}  {one.key}: {_yaml(_example(one))}  # {one.words}" for one in settings
        ]
    media = [one for one in inputs if one.required and one.media and one.key != "prompt"]
    first = next((one for one in inputs if one.key == "prompt"), None)
    lines += ["", "prompts:"]
    rows = [("prompt", _text(first, model.schema)), *((one.key, _example(one)) for one in media)]
    rows = [(key, value) for key, value in rows if value]
    for number, (key, value) in enumerate(rows or [("id", "first")]):
        lines.append(f"{'  - ' if number == 0 else '    '}{key}: {_yaml(value)}")
    return "\n".join(lines) + "\n"


def _text(first: Input | None, schema: ModelSchema | None) -> str:
    if first is None and schema is not None:
        return ""
    return EXAMPLE_URL if first is not None and first.media else "a red kite over a harbour at dawn"


def _example(one: Input) -> Any:
    if one.media:
        return [EXAMPLE_URL] if "list" in one.kind else EXAMPLE_URL
    if one.default is not None:
        return one.default
    if one.choices:
        return one.choices[0]
    if "integer" in one.kind or "number" in one.kind:
        return one.low if one.low is not None else 1
    simple = {"true or false": True, "a list": [], "a mapping": {}}
    return simple.get(one.kind, "text")


def _yaml(value: Any) -> str:
    """JSON is YAML, and puts what looks like something else (16:9, no) into quotes."""
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 60 else json.dumps(value)[:60]
