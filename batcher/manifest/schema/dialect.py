"""The catalogue's own dialect of JSON Schema, turned into the standard one.

Published schemas have the type ``float``, types in capitals, formats that no validator knows (``image_uri``), and a
list of ``validations`` beside the standard keywords. A schema comes from outside: it may be nonsense, deep, or refer to
other hosts. The worst that it can do is an error message.
"""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 40
_TYPES = {"string", "integer", "number", "boolean", "array", "object", "null"}
_RENAMED = {
    "float": "number", "double": "number", "int": "integer", "str": "string", "bool": "boolean", "list": "array",
}  # fmt: skip
_ASIDE = {"format", "validations", "$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$vocabulary", "default"}
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_VERBATIM = frozenset({"enum", "const", "examples", "required"})
SHARED = ("$defs", "definitions")


def standard(schema: Any, depth: int = 0) -> Any:
    """The same schema in the standard's words. Raises ValueError for one nested more than 40 deep."""
    if depth > _DEEPEST:
        raise ValueError(f"the schema is nested more than {_DEEPEST} deep")
    if isinstance(schema, list):
        return [standard(part, depth + 1) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _part(key, value, depth + 1) for key, value in schema.items() if _kept(key, value)}


def _kept(key: str, value: Any) -> bool:
    return key not in _ASIDE and not (key == "type" and _types(value) is None)


def _part(key: str, value: Any, depth: int) -> Any:
    if key == "type":
        return _types(value)
    if key in _VERBATIM:
        return value
    if key in _NAMED and isinstance(value, Mapping):  # these keys are names, not keywords
        return {name: standard(inner, depth + 1) for name, inner in value.items()}
    return standard(value, depth)


def _types(value: Any) -> Any:
    """The type or types by their standard names; None, which allows any type, when one of them is unknown."""
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    lower = [name.lower() for name in names if isinstance(name, str)]
    standard_names = [_RENAMED.get(name, name) for name in lower]
    if not standard_names or not _TYPES.issuperset(standard_names):
        return None
    return standard_names[0] if isinstance(value, str) else list(dict.fromkeys(standard_names))


def types_of(schema: Any) -> frozenset[str]:
    """The types that a value may have, alternatives included; empty when the schema does not say."""
    if not isinstance(schema, Mapping):
        return frozenset()
    stated = schema.get("type")
    if stated is not None:
        return frozenset([stated] if isinstance(stated, str) else stated)
    return frozenset[str]().union(*map(types_of, alternatives(schema)))


def alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas in ``anyOf`` and ``oneOf``, as far as they are readable."""
    listed = [schema.get(key) for key in ("anyOf", "oneOf")]
    return [part for parts in listed if isinstance(parts, list) for part in parts if isinstance(part, Mapping)]
