"""The models the simulator hosts: their schemas as published, quirks included, and the check of inputs against them."""

from collections.abc import Mapping
from typing import Any

from batcher.simulator.answers import Answer, Refusal, invalid

IMAGEN = "google-deepmind/imagen-4/fast/text-to-image"

_SAMPLE = (
    "Street food vendor at dusk, steam rising from a wok and backlit by warm lamps, wet cobblestones, "
    "candid documentary photo, 35mm"
)

_IMAGEN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Input",
    "required": ["prompt"],
    "properties": {
        "prompt": {"title": "Prompt", "description": "", "type": "string", "default": _SAMPLE},
        "negative_prompt": {"title": "Negative Prompt", "description": "", "type": "string", "default": ""},
        "aspect_ratio": {
            "title": "Aspect Ratio (W:H)",
            "description": "",
            "type": "string",
            "enum": ["16:9", "4:3", "1:1", "3:4", "9:16"],
            "default": "16:9",
        },
        "seed": {"title": "Seed", "description": "", "type": "integer", "default": 37644189},
    },
}

_BANANA_RATIOS = ["auto", "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16"]

_BANANA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Input",
    "required": ["prompt"],
    "properties": {
        "prompt": {"title": "Prompt", "type": "string", "default": "A banana on a drawing table, soft light"},
        "num_images": {
            "title": "Number of Images",
            "type": "integer",
            "minimum": 1,
            "maximum": 4,
            "default": 1,
        },
        "seed": {"title": "Seed", "type": "integer", "default": 0},
        "aspect_ratio": {"title": "Aspect Ratio", "type": "string", "enum": _BANANA_RATIOS, "default": "auto"},
        "resolution": {"title": "Resolution", "type": "string", "enum": ["0.5K", "1K", "2K", "4K"], "default": "1K"},
        "output_format": {
            "title": "Output Format",
            "type": "string",
            "enum": ["png", "jpeg", "webp"],
            "default": "png",
        },
        "safety_tolerance": {"title": "Safety", "type": "integer", "minimum": 1, "maximum": 6, "default": 4},
        "limit_generations": {"title": "Limit Generations", "type": "boolean", "default": True},
        "enable_web_search": {"title": "Web Search", "type": "boolean", "default": False},
    },
}

_SEEDREAM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Input",
    "required": ["prompt", "image", "aspect_ratio"],  # with a default and required all the same, as some are
    "properties": {
        "prompt": {"title": "Prompt", "type": "string", "default": "Make it snow"},
        "image": {
            "title": "Images",
            "type": "array",
            "items": {"type": "string", "format": "image_uri"},
            "format": "image_uris",
            "maxItems": 10,
            "minItems": 1,
            "validations": [
                {
                    "validation_rule": "max_file_size_mb",
                    "validation_value": 30,
                    "validation_error": "Each image must be smaller than 30 MB",
                },
                {
                    "validation_rule": "min_side_px",
                    "validation_value": 14,
                    "validation_error": "Each side must be longer than 14 pixels",
                },
            ],
        },
        "aspect_ratio": {
            "title": "Aspect Ratio",
            "type": "string",
            "enum": ["1:1", "4:3", "3:4", "16:9", "9:16", "21:9"],
            "default": "1:1",
        },
        "resolution": {"title": "Resolution", "type": "string", "enum": ["1K", "2K"], "default": "1K"},
        "output_format": {"title": "Output Format", "type": "string", "enum": ["png", "jpeg"], "default": "png"},
        "strength": {"title": "Strength", "type": "float", "minimum": 0, "maximum": 1, "default": 0.8},
    },
}

MODELS: dict[str, dict[str, Any]] = {
    model_id: {
        "model_id": model_id,
        "display_name": name,
        "kind": "model",
        "categories": [category],
        "input_schema": schema,
    }
    for model_id, name, category, schema in (
        (IMAGEN, "Imagen 4 Fast", "text-to-image", _IMAGEN_SCHEMA),
        ("google/nano-banana-2/text-to-image", "Nano Banana 2", "text-to-image", _BANANA_SCHEMA),
        ("bytedance/seedream-5.0-pro/image-to-image", "Seedream 5.0 Pro", "image-to-image", _SEEDREAM_SCHEMA),
    )
}


def entry(model_id: str, *, price: float | None, schema: bool) -> dict[str, Any]:
    """One model as the catalogue shows it. price: None leaves the price out."""
    shown = {key: value for key, value in MODELS[model_id].items() if schema or key != "input_schema"}
    if price is not None:
        shown |= {"base_price_usd": price, "price_unit": "output", "pricing_note": ""}
    return shown


def search(words: str, category: str, kind: str) -> list[str]:
    """Ids of the models that have the words in id or name, in catalogue order."""
    words = words.lower()
    return [
        model_id
        for model_id, model in MODELS.items()
        if words in model_id.lower() or words in model["display_name"].lower()
        if not category or category in model["categories"]
        if kind in {"", model["kind"]}
    ]


def page(query: Mapping[str, str], *, price: float | None) -> Answer:
    """The list of models as asked for. Raises Refusal for bounds that make no sense."""
    limit, offset = _bound(query, "limit", 20, 1, 100), _bound(query, "offset", 0, 0, 10**9)
    found = search(query.get("search", ""), query.get("category", ""), query.get("kind", ""))
    schema = query.get("include_schema") == "true"
    shown = [entry(model_id, price=price, schema=schema) for model_id in found[offset : offset + limit]]
    return Answer(200, {"models": shown, "total": len(found)})


def _bound(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    complaint = {"type": "int_parsing", "loc": ["query", name], "msg": f"Input should be {least} to {most}"}
    raise Refusal(invalid([complaint | {"input": text}]))


def categories() -> list[str]:
    return sorted({category for model in MODELS.values() for category in model["categories"]})


def outputs(model_id: str, inputs: Mapping[str, Any]) -> int:
    """How many pictures a request makes."""
    properties = MODELS[model_id]["input_schema"]["properties"]
    return int(inputs.get("num_images", 1)) if "num_images" in properties else 1


def output_format(model_id: str, inputs: Mapping[str, Any], default: str) -> str:
    properties = MODELS[model_id]["input_schema"]["properties"]
    return str(inputs.get("output_format", default)) if "output_format" in properties else default


_TYPES: dict[str, tuple[type[Any], ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "float": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def complaints(model_id: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with the inputs, as the ``detail`` list of a 422. Unknown keys are tolerated."""
    schema = MODELS[model_id]["input_schema"]
    found = [
        {"type": "missing", "loc": ["input", name], "msg": "Field required", "input": dict(inputs)}
        for name in schema["required"]
        if name not in inputs
    ]
    for name, value in inputs.items():
        if name in schema["properties"]:
            found += _complaints(schema["properties"][name], value, ["input", name])
    return found


def _complaints(rule: Mapping[str, Any], value: Any, loc: list[str | int]) -> list[dict[str, Any]]:
    expected = rule["type"]
    if not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean"):
        return [_complaint(f"{expected}_type", loc, f"Input should be a valid {expected}", value)]
    if "enum" in rule and value not in rule["enum"]:
        words = [repr(word) for word in rule["enum"]]
        return [_complaint("enum", loc, f"Input should be {', '.join(words[:-1])} or {words[-1]}", value)]
    if isinstance(value, list):
        return [each for at, item in enumerate(value) for each in _complaints(rule["items"], item, [*loc, at])]
    if "minimum" in rule and value < rule["minimum"]:
        return [_complaint("greater_than_equal", loc, f"Input should be at least {rule['minimum']}", value)]
    if "maximum" in rule and value > rule["maximum"]:
        return [_complaint("less_than_equal", loc, f"Input should be at most {rule['maximum']}", value)]
    return []


def _complaint(kind: str, loc: list[str | int], msg: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": msg, "input": value}
