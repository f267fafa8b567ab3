"""The input schema of one model: names, types from text, and checks of values.

Each input is compiled alone, on first use: a batch checks millions of values of a few inputs. The validator never
fetches anything and its patterns run in linear time, so a hostile schema costs an error message and nothing else.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any, TypeGuard

from batcher.core.job import images_asked
from batcher.manifest.schema.dialect import SHARED, alternatives, standard, types_of
from batcher.manifest.schema.media import Wanted, is_content, is_media, media_problem, several, takes_data, wanted
from batcher.manifest.schema.reading import READERS
from batcher.manifest.schema.words import DEEPEST, described, is_deep, is_one_of, kinds, plain, shown

LOWEST, HIGHEST = -(2**63), 2**64 - 1  # what a 64-bit column or a JSON reader elsewhere can still hold
_MOST_NAMED = 20  # values of a choice that a message lists


Check = Callable[[Any], str | None]  # of a value: what is wrong with it, in words that follow the input's name


class ModelSchema:
    """The inputs of one model.

    model_id: its name. properties: by input, its schema as published. shared: ``$defs`` and ``definitions``.
    required: the schema's list of required inputs, as published.

    ``inputs``: names, in the schema's order. ``asked``: names that the schema calls required; ``required``: those of
    them that have no default (some schemas list both), so that they must be sent. ``media_inputs``: names whose value
    is the URL of a file, or a list of URLs. ``notes``: what is odd about the schema, in words that follow the model's
    name. ``check_of``: for a name, the check of its values; it is compiled once.
    """

    def __init__(
        self, model_id: str, properties: Mapping[str, Any], *, shared: Mapping[str, Any], required: Any
    ) -> None:
        self.model_id = model_id
        self.inputs = tuple(properties)
        self.media_inputs = frozenset(name for name, given in properties.items() if is_media(name, given))
        self._properties = dict(properties)
        self._given = {name: given if isinstance(given, dict) else {} for name, given in properties.items()}
        self._schemas = {name: standard(given) for name, given in properties.items()}
        types = {name: types_of(schema) for name, schema in self._schemas.items()}
        self._types = types
        self._readers = {name: [read for kind, read in READERS.items() if kind in types[name]] for name in types}
        self._choices = {
            name: {value if isinstance(value, str) else json.dumps(value): value for value in allowed}
            for name in self.inputs
            if (allowed := self.allowed(name))
        }
        self._shared = {key: standard(dict(value)) for key, value in shared.items()}
        self.check_of: Callable[[str], Check] = cache(self._check_of)
        listed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        self.asked = frozenset(listed) & properties.keys()
        self.required = frozenset(name for name in self.asked if self.default(name) is None)
        self.notes = tuple(
            f"the schema asks for {shown(name)}, which is not one of its inputs: that is ignored"
            for name in [name for name in listed if name not in properties][:5]
        )

    def __repr__(self) -> str:
        return f"<ModelSchema of {self.model_id}: {', '.join(self.inputs)}>"

    @classmethod
    def from_json(cls, model_id: str, input_schema: Any) -> "ModelSchema":
        """From a catalogue entry's ``input_schema``; raises ValueError when it is not a schema of an object."""
        if not isinstance(input_schema, Mapping):
            raise ValueError("the model's input schema is not a JSON object")  # noqa: TRY004  bad data, not a bad call
        properties = input_schema.get("properties") or {}
        if not isinstance(properties, Mapping):
            raise ValueError("the model's input schema has no readable list of inputs")  # noqa: TRY004  bad data, not a bad call
        shared = {key: input_schema[key] for key in SHARED if isinstance(input_schema.get(key), Mapping)}
        return cls(model_id, properties, shared=shared, required=input_schema.get("required"))

    def unchecked(self, names: Iterable[str]) -> "ModelSchema":
        """The same schema without checks of these inputs: they need not be given, may have any value, and are inputs
        even where the schema does not list them.
        """
        names = frozenset(names)
        if not names:
            return self
        given = {**self._properties, **{name: {} for name in sorted(names)}}
        left = sorted(self.asked - names)
        looser = ModelSchema(self.model_id, given, shared=self._shared, required=left)
        looser.media_inputs -= names
        looser.notes = self.notes
        return looser

    def takes_null(self, name: str) -> bool:
        """Whether null may be sent: the type allows it, or the default is null."""
        given = self._given.get(name, {})
        by_default = "default" in given and given["default"] is None
        return by_default or given.get("nullable") is True or "null" in self._types_of(name)

    def _types_of(self, name: str) -> frozenset[str]:
        """Empty if the schema does not say, or if the model has no such input."""
        return self._types.get(name, frozenset())

    def default(self, name: str) -> Any:
        """The value that the service uses when the input is not sent, None when the schema does not say."""
        return self._given.get(name, {}).get("default")

    @property
    def default_images(self) -> int:
        """The number of images of a request that does not give it, at least 1."""
        return images_asked({name: self.default(name) for name in self.inputs})

    def allowed(self, name: str) -> tuple[Any, ...] | None:
        """The listed values of an input, None when it is not a choice from a list."""
        schema = self._schemas.get(name)
        listed = schema.get("enum") if isinstance(schema, Mapping) else None
        return tuple(listed) if isinstance(listed, list) else None

    def takes_integers(self, name: str) -> bool:
        """Whether an integer may be a value."""
        return "integer" in self._types_of(name)

    def takes_only_integers(self, name: str) -> bool:
        """Whether digits can mean nothing but their number."""
        return self._types_of(name) == frozenset({"integer"}) and name not in self._choices

    def bounds(self, name: str) -> tuple[int | None, int | None]:
        """The least and the greatest integer that an input takes, None where the schema does not say."""
        schema = self._schemas.get(name)
        stated = [schema, *alternatives(schema)] if isinstance(schema, Mapping) else []
        integers = next((one for one in stated if "integer" in types_of(one) and not alternatives(one)), {})
        low, high = integers.get("minimum"), integers.get("maximum")
        return math.ceil(low) if _is_number(low) else None, math.floor(high) if _is_number(high) else None

    def kind(self, name: str) -> str:
        """The types of an input in words; "anything" where the schema does not say."""
        return kinds(self._types_of(name)) or "anything"

    def takes_text(self, name: str) -> bool:
        """Whether text as it stands may be a value: the schema says string, or says nothing."""
        types = self._types_of(name)
        return not types or "string" in types

    def wanted(self, name: str) -> Wanted:
        """What files an input takes. Raises KeyError if the model has no such input."""
        types = self._types_of(name)
        return wanted(name, self._given[name], lists_only="array" in types and "string" not in types)

    def fingerprint(self) -> str:
        """Hex; the same as long as values mean the same."""
        text = json.dumps([self._schemas, self._shared, sorted(self.required)], sort_keys=True, default=str)
        return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()

    def convert(self, name: str, text: str) -> Any:
        """The value that the text of a cell or a flag means: ``"7"`` is 7 for an integer.

        Raises ValueError with a reason that can follow the input's name.
        """
        types = self._types_of(name)
        choices = self._choices.get(name)
        if choices and text in choices:
            return choices[text]
        for read in self._readers.get(name, ()):
            if (value := read(text)) is not None:
                return value
        if "array" in types and self._lists_texts(name) and not text.lstrip().startswith(("[", "{")):
            return several(text) if name in self.media_inputs else [text]
        if not types or "string" in types:
            return text
        if text.strip().lower() == "null" and self.takes_null(name):
            return None
        raise ValueError(
            f"must be {kinds(types)}, not {shown(text)}{' (write it as JSON)' if types & {'array', 'object'} else ''}"
        )

    def _lists_texts(self, name: str) -> bool:
        """Whether a bare text may stand for a list of one: the items are text."""
        items = self._schemas[name].get("items")
        return name in self.media_inputs if items is None else "string" in types_of(items)

    def normal(self, name: str, value: Any) -> Any:
        """The value as sent: 1.0 for an integer is 1, so that both are the same request."""
        if type(value) is float and value.is_integer() and self.takes_integers(name):
            return int(value)
        return value

    def problems(self, name: str, value: Any) -> str | None:
        """What is wrong with one value, as words that can follow the input's name; None if it is fine."""
        return self.check_of(name)(value)

    def _check_of(self, name: str) -> Check:
        import jsonschema_rs  # noqa: PLC0415  only runs that check values pay for loading it

        if name not in self._schemas:
            return lambda _value: f"is not an input of {self.model_id}"
        schema: dict[str, Any] = {"allOf": [self._schemas[name]], **self._shared}
        try:
            validator = jsonschema_rs.Draft202012Validator(
                schema, retriever=_refuse, validate_formats=False, pattern_options=jsonschema_rs.RegexOptions()
            )
        except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
            reason = f"can't be checked: the model's schema for it is broken ({shown(str(error).splitlines()[0], 200)})"
            return lambda _value: reason
        media, data = name in self.media_inputs, takes_data(self._given[name])

        def check(given: Any) -> str | None:
            value = _as_links(given) if media else given
            try:
                plain = type(value) is str or (type(value) is int and LOWEST <= value <= HIGHEST)
                if not plain and (reason := _unsendable(value)):
                    return reason
                if not validator.is_valid(value):
                    return self._reason(name, value, validator)
            except UnicodeEncodeError:
                return "has half of a surrogate pair in it, which is not text"
            except (ValueError, OverflowError, RecursionError) as error:
                return f"can't be sent: {shown(str(error))}"
            return media_problem(value, data=data) if media else None

        if self.takes_null(name):
            return lambda value: None if value is None else check(value)
        return check if media else _sooner(check, self._schemas[name])

    def _reason(self, name: str, value: Any, validator: Any) -> str:
        types, allowed = self._types_of(name), self.allowed(name)
        if types and not is_one_of(value, types):
            return f"must be {kinds(types)}, not {described(value)}"
        if allowed is not None:
            listed = ", ".join(map(plain, allowed[:_MOST_NAMED]))
            more = f" and {len(allowed) - _MOST_NAMED:,} more" if len(allowed) > _MOST_NAMED else ""
            return f"must be one of {listed}{more}, not {described(value)}"
        error = next(iter(validator.iter_errors(value)), None)
        return shown(error.message, 200) if error else "does not fit the model's schema"


def _sooner(check: Check, schema: Any) -> Check:
    """The same check, without the validator for schemas that ask only for text or an integer within bounds: most do."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    names = {"string": ("minLength", "maxLength"), "integer": ("minimum", "maximum")}.get(str(kind))
    if names is None or not schema.keys() <= {"type", "title", "description", "examples", *names}:
        return check
    low, high = schema.get(names[0], LOWEST), schema.get(names[1], HIGHEST)
    if not type(low) is type(high) is int:
        return check
    low, high = max(low, LOWEST), min(high, HIGHEST)
    if kind == "integer":
        return lambda value: None if type(value) is int and low <= value <= high else check(value)
    return lambda value: None if type(value) is str and value.isascii() and low <= len(value) <= high else check(value)


def _as_links(value: Any) -> Any:
    """The value with links in the place of contents, as the schema is about what is sent."""
    if isinstance(value, list):
        return [_as_links(one) for one in value]
    return f"https://example.com/{value[7:]}.png" if is_content(value) else value


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, and batcher fetches no schemas")


def _unsendable(value: Any) -> str | None:
    """Data that JSON readers can't hold, or disagree on."""
    return f"is nested more than {DEEPEST} deep" if is_deep(value) else _odd_number(value)


def _odd_number(value: Any) -> str | None:
    if isinstance(value, bool | str) or value is None:
        return None
    if isinstance(value, int):
        return None if LOWEST <= value <= HIGHEST else f"is {described(value)}, beyond what 64 bits can hold"
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    inner = value.values() if isinstance(value, Mapping) else value
    return next((reason for part in inner if (reason := _odd_number(part))), None)
