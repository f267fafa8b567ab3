"""The catalogue of models, and the check of inputs against their schemas."""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from batcher.simulator.answers import Answer, Refusal, invalid
from batcher.simulator.models import HOSTED
from batcher.simulator.profile import Profile

_PAGES = "https://www.runcomfy.com/models/"
_BY_ID = {model.model_id: model for model in HOSTED}

MODELS: dict[str, dict[str, Any]] = {
    model.model_id: {
        "model_id": model.model_id,
        "display_name": model.name,
        "description": model.description,
        "model_url": _PAGES + model.model_id.rpartition("/")[0],
        "kind": "model",
        "categories": [model.category],
        "inputs": list(model.schema["properties"]),
        "required_inputs": model.schema["required"],
        "input_schema": model.schema,
    }
    for model in HOSTED
}


def entry(model_id: str, *, price: float, schema: bool) -> dict[str, Any]:
    """One model as the catalogue shows it.

    price: US dollars. schema: whether it has its schema.
    """
    shown = {key: value for key, value in MODELS[model_id].items() if schema or key != "input_schema"}
    return shown | {"base_price_usd": price, "price_unit": _BY_ID[model_id].unit, "pricing_note": ""}


def page(query: Mapping[str, str], *, price: float) -> Answer:
    """A page of the list of models. query: of the URL. price: US dollars. Raises Refusal."""
    limit, offset = _bound(query, "limit", 100, 1, 500), _bound(query, "offset", 0, 0, 10**9)
    words, category, kind = (query.get(name, "") for name in ("search", "category", "kind"))
    matches = [
        model_id
        for model_id, model in MODELS.items()
        if any(words.lower() in text.lower() for text in (model_id, model["display_name"], model["description"]))
        if category in {"", *model["categories"]} and kind in {"", model["kind"]}
    ]
    schema = query.get("include_schema") == "true"
    shown = [entry(model_id, price=price, schema=schema) for model_id in matches[offset : offset + limit]]
    return Answer(200, {"models": shown, "total": len(matches), "limit": limit, "offset": offset})


def _bound(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    complaint = {"type": "int_parsing", "loc": ["query", name], "msg": f"Input should be {least} to {most}"}
    raise Refusal(invalid([complaint | {"input": text}]))


def categories() -> list[str]:
    """The categories of all models, each once, by name."""
    return sorted({category for model in MODELS.values() for category in model["categories"]})


_COUNTS = ("num_images", "number_of_images", "max_images")


def outputs(model_id: str, inputs: Mapping[str, Any]) -> int:
    """Number of files that a request makes."""
    properties = _BY_ID[model_id].schema["properties"]
    name = next((name for name in _COUNTS if name in properties), None)
    return 1 if name is None else int(inputs.get(name, properties[name].get("default", 1)))


def units(model_id: str, inputs: Mapping[str, Any]) -> float:
    """What the price is multiplied by: a number of files, or seconds."""
    model = _BY_ID[model_id]
    if model.unit != "second":
        return outputs(model_id, inputs)
    return float(inputs.get("duration", model.schema["properties"]["duration"]["default"]))


def output_format(model_id: str, inputs: Mapping[str, Any]) -> str:
    """Such as ``png`` or ``mp4``."""
    model = _BY_ID[model_id]
    asked = inputs.get("output_format", "png") if "output_format" in model.schema["properties"] else "png"
    return model.form or str(asked)


_TYPES: dict[str, tuple[type[Any], ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "float": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def complaints(model_id: str, inputs: Mapping[str, Any], profile: Profile) -> list[dict[str, Any]]:
    """What is wrong with the inputs, as the ``detail`` of a 422. Unknown keys are allowed, and an input that is
    required but does not exist may be left out.
    """
    model = _BY_ID[model_id]
    properties = model.schema["properties"]
    problems = [
        {"type": "missing", "loc": ["input", name], "msg": "Field required", "input": dict(inputs)}
        for name in model.schema["required"]
        if name in properties and name not in inputs and not (profile.defaults_fill and "default" in properties[name])
    ]
    for name, value in inputs.items():
        if name in properties and not (value is None and _takes_null(properties[name])):
            wrong = _complaints(properties[name], value, ["input", name])
            problems += wrong or _private(properties[name], value, name, data=profile.data_uris)
    return problems


def _takes_null(rule: Mapping[str, Any]) -> bool:
    return "default" in rule and rule["default"] is None


def _private(rule: Mapping[str, Any], value: Any, name: str, *, data: bool) -> list[dict[str, Any]]:
    """Complaints about files that have no public https URL. data: whether ``data:`` URIs are allowed too."""
    if not str(rule.get("format", "")).startswith("image_uri"):
        return []
    return [
        _complaint("url_scheme", ["input", name], "URL should be a public https URL", url)
        for url in (value if isinstance(value, list) else [value])
        if not is_here(url) and not _is_public(str(url)) and not (data and str(url).startswith("data:"))
    ]


def _is_public(url: str) -> bool:
    """Whether it is an https URL whose host is not plainly private."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    with suppress(ValueError):
        return parts.scheme == "https" and ip_address(host).is_global
    return parts.scheme == "https" and host not in {"", "localhost"} and not host.endswith((".local", ".localhost"))


def is_here(url: Any) -> bool:
    """Whether it is a link to this machine: unlike the real service, the simulator can fetch those."""
    if not isinstance(url, str) or not url.startswith("http://"):
        return False
    try:
        parts = urlsplit(url)
        return parts.hostname in {"127.0.0.1", "::1", "localhost"} and "@" not in parts.netloc
    except ValueError:
        return False


def unreachable(name: str, url: str, why: str) -> dict[str, Any]:
    """The entry of a 422 for an input whose file could not be fetched. why: in words."""
    return _complaint("url_unreachable", ["input", name], f"The file could not be fetched: {why}", url)


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
