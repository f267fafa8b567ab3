"""One input of a model: its types, values from text, and the check of its values.

The check is compiled on first use: a batch checks millions of values of a few inputs. The validator never fetches
anything and its patterns run in linear time, so a hostile schema costs an error message and nothing else.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeGuard

from batcher.manifest.schema.dialect import alternatives, standard, types_of
from batcher.manifest.schema.media import is_content, is_media, media_problem, several, takes_data, wanted
from batcher.manifest.schema.media_files import as_text
from batcher.manifest.schema.words import DEEPEST, described, is_deep, is_one_of, kinds, plain, shown

LOWEST, HIGHEST = -(2**63), 2**64 - 1  # what a 64-bit column or a JSON reader elsewhere can still hold
COMMON = ("prompt", "negative_prompt", "seed", "aspect_ratio")  # inputs of most models, when no schema says so
RATIO = re.compile(r"\s*([1-9][0-9]{0,4})\s*[:x\u00d7/\uff1a]\s*([1-9][0-9]{0,4})\s*", re.IGNORECASE)
_HIGHEST_SEED = 2**31 - 1  # of drawn seeds: every model and every reader takes it
_TEXTS = frozenset({"prompt", "negative_prompt", "aspect_ratio"})
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,17})?\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}(\.0{1,20})?\Z")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MOST_NAMED = 20  # values of a choice that a message lists

Check = Callable[[Any], str | None]  # of a value: what is wrong with it, in words that follow the input's name


class Input:
    """One input by its schema.

    given: the schema as published. shared: ``$defs`` and ``definitions``. takes_files: False where the name says
    nothing. fault: why no value can be right.

    ``types``: empty if the schema does not say. ``allowed``: the listed values, None where it is no choice from a list.
    ``default``: the value that the service uses when the input is not sent, None when the schema does not say.
    ``takes_null``: whether null may be sent: the type allows it, or the default is null. ``takes_text``: whether text
    as it stands may be a value. ``is_free_text``: whether any text may be. ``takes_ranges``: whether ``1..5`` means
    five integers, not a text. ``ratios``: the allowed values that are ratios. ``is_media``: whether a value is the URL
    of a file, or a list of URLs. ``takes``: what files it takes, None for none.
    """

    def __init__(
        self, name: str, given: Any, shared: Mapping[str, Any], *, takes_files: bool = True, fault: str = ""
    ) -> None:
        self.name, self.schema = name, standard(given)
        self._given: dict[str, Any] = given if isinstance(given, dict) else {}
        self._shared, self._fault = shared, fault
        self.types = types = types_of(self.schema)
        listed = self.schema.get("enum") if isinstance(self.schema, Mapping) else None
        self.allowed = tuple(listed) if isinstance(listed, list) else None
        self.default = self._given.get("default")
        null_by_default = "default" in self._given and self.default is None
        self.takes_null = null_by_default or self._given.get("nullable") is True or "null" in types
        self.takes_integers = "integer" in types
        self.takes_text = not types or "string" in types
        self.is_free_text = self.takes_text and self.allowed is None
        self.takes_ranges = self.takes_integers or not self.takes_text
        self.takes_only_integers = types == {"integer"} and not self.allowed
        self.is_media = takes_files and is_media(name, given)
        lists_only = "array" in types and "string" not in types
        self.takes = wanted(name, self._given, lists_only=lists_only) if self.is_media else None
        self._readers = [read for kind, read in _READERS.items() if kind in types]
        self._choices = {one if isinstance(one, str) else json.dumps(one): one for one in self.allowed or ()}
        self.ratios = frozenset(one for one in self._choices.values() if isinstance(one, str) and RATIO.fullmatch(one))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.kind}>"

    @property
    def kind(self) -> str:
        """The types in words; "anything" where the schema does not say."""
        return kinds(self.types) or "anything"

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The least and the greatest integer that it takes, None where the schema does not say."""
        stated = [self.schema, *alternatives(self.schema)] if isinstance(self.schema, Mapping) else []
        integers = next((one for one in stated if "integer" in types_of(one) and not alternatives(one)), {})
        low, high = integers.get("minimum"), integers.get("maximum")
        return math.ceil(low) if _is_number(low) else None, math.floor(high) if _is_number(high) else None

    @property
    def drawn_from(self) -> range:
        """The range that seeds are drawn from: 0 to 2^31 - 1, within the bounds of the schema."""
        low, high = self.bounds
        return range(max(0, low or 0), min(_HIGHEST_SEED, _HIGHEST_SEED if high is None else high) + 1)

    def convert(self, text: str) -> Any:
        """The value that the text of a cell or a flag means: ``"7"`` is 7 for an integer.

        Raises ValueError with a reason that can follow the input's name.
        """
        return self.normal(self._read(self._plain(text)))

    def _read(self, text: str) -> Any:
        if text in self._choices:
            return self._choices[text]
        for read in self._readers:
            if (value := read(text)) is not None:
                return value
        if "array" in self.types and self._lists_texts() and not text.lstrip().startswith(("[", "{")):
            return several(text) if self.is_media else [text]
        if self.takes_text:
            return text
        if text.strip().lower() == "null" and self.takes_null:
            return None
        as_json = " (write it as JSON)" if self.types & {"array", "object"} else ""
        raise ValueError(f"must be {kinds(self.types)}, not {shown(text)}{as_json}")

    def normal(self, value: Any) -> Any:
        """A value from YAML or JSON as it is sent: 1.0 is 1 for an integer, ``16x9`` is ``16:9``, so that both are the
        same request.
        """
        if type(value) is float:
            return int(value) if value.is_integer() and self.takes_integers else value
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        """``{file: cat.png}`` as text; ``16x9``, `` 16:9`` and ``16/9`` as 16:9 for an input that lists it."""
        if self.takes:
            value = as_text(value)
        if type(value) is not str or not self.ratios or value in self.ratios or not (match := RATIO.fullmatch(value)):
            return value
        ratio = f"{match[1]}:{match[2]}"
        return ratio if ratio in self.ratios else value

    def _lists_texts(self) -> bool:
        """Whether a bare text may stand for a list of one: the items are text."""
        items = self.schema.get("items")
        return self.is_media if items is None else "string" in types_of(items)

    @cached_property
    def check(self) -> Check:
        """What is wrong with a value."""
        import jsonschema_rs  # noqa: PLC0415  only runs that check values pay for loading it

        fault = self._fault
        schema: dict[str, Any] = {"allOf": [self.schema], **self._shared}
        try:
            validator = jsonschema_rs.Draft202012Validator(
                schema, retriever=_refuse, validate_formats=False, pattern_options=jsonschema_rs.RegexOptions()
            )
        except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
            fault = f"can't be checked: the model's schema for it is broken ({shown(str(error).splitlines()[0], 200)})"
        if fault:
            return lambda _value: fault
        media, data = self.is_media, takes_data(self._given)

        def check(given: Any) -> str | None:
            value = _as_links(given) if media else given
            try:
                plain = type(value) is str or (type(value) is int and LOWEST <= value <= HIGHEST)
                if not plain and (reason := _unsendable(value)):
                    return reason
                if not validator.is_valid(value):
                    return self._reason(value, validator)
            except UnicodeEncodeError:
                return "has half of a surrogate pair in it, which is not text"
            except (ValueError, OverflowError, RecursionError) as error:
                return f"can't be sent: {shown(str(error))}"
            return media_problem(value, data=data) if media else None

        if self.takes_null:
            return lambda value: None if value is None else check(value)
        return check if media else _sooner(check, self.schema)

    def _reason(self, value: Any, validator: Any) -> str:
        if self.types and not is_one_of(value, self.types):
            return f"must be {kinds(self.types)}, not {described(value)}"
        if self.allowed is not None:
            listed = ", ".join(map(plain, self.allowed[:_MOST_NAMED]))
            more = f" and {len(self.allowed) - _MOST_NAMED:,} more" if len(self.allowed) > _MOST_NAMED else ""
            return f"must be one of {listed}{more}, not {described(value)}"
        error = next(iter(validator.iter_errors(value)), None)
        return shown(error.message, 200) if error else "does not fit the model's schema"


class GuessedInput(Input):
    """An input where there is no schema: a cautious guess by its ``name`` and by the text of its values."""

    def __init__(self, name: str) -> None:
        super().__init__(name, {}, {}, takes_files=False)
        self.is_free_text = False
        self.takes_ranges = name not in _TEXTS
        self.takes = None if name in COMMON else wanted(name, {}, named_only=True)

    def convert(self, text: str) -> Any:
        """Text that is plainly a number or a boolean, as that; any other unchanged."""
        text = self._plain(text)
        is_plain = self.name not in _TEXTS and (text in {"true", "false"} or _NUMBER.match(text))
        return json.loads(text) if is_plain else text


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


# Text from a cell or a flag, read as one of the schema's types. Each reader returns None for other text.
def _integer(text: str) -> int | None:
    if text.isdecimal() and text.isascii() and len(text) <= 40:
        return int(text)
    digits = text.strip()
    return int(digits.split(".")[0]) if _INTEGER.match(digits) else None


def _number(text: str) -> float | None:
    try:
        value = float(text) if len(text) <= 60 and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.strip().lower())


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, kind) else None

    return read


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "array": _json(list),
    "object": _json(dict),
}
