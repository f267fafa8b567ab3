"""The input schema of one model: its inputs (``input.py``), and those that must be given."""

import json
from collections.abc import Iterable, Mapping
from copy import copy
from hashlib import blake2b
from typing import Any

from batcher.core.job import images_asked
from batcher.manifest.schema.dialect import SHARED, standard
from batcher.manifest.schema.input import Input
from batcher.manifest.schema.words import shown


class ModelSchema:
    """The inputs of one model.

    model_id: its name. properties: by input, its schema as published. shared: ``$defs`` and ``definitions``.
    required: the schema's list of required inputs, as published.

    ``inputs``: by name, in the schema's order. ``asked``: names that the schema calls required; ``required``: those of
    them that have no default (some schemas list both), so that they must be sent. ``notes``: what is odd about the
    schema, in words that follow the model's name.
    """

    def __init__(
        self, model_id: str, properties: Mapping[str, Any], *, shared: Mapping[str, Any], required: Any
    ) -> None:
        self.model_id = model_id
        self._shared = {key: standard(dict(value)) for key, value in shared.items()}
        self.inputs = {name: Input(name, given, self._shared) for name, given in properties.items()}
        listed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        self.asked = frozenset(listed) & self.inputs.keys()
        self.required = frozenset(name for name in self.asked if self.inputs[name].default is None)
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
        looser = copy(self)
        free = {name: Input(name, {}, self._shared, takes_files=False) for name in sorted(names)}
        looser.inputs = {**self.inputs, **free}
        looser.asked, looser.required = self.asked - names, self.required - names
        return looser

    def input(self, name: str) -> Input:
        """The input of that name; for a name that the model does not have, one that takes no value."""
        stranger = f"is not an input of {self.model_id}"
        return self.inputs.get(name) or Input(name, {}, {}, takes_files=False, fault=stranger)

    @property
    def media_inputs(self) -> frozenset[str]:
        """Names whose value is the URL of a file, or a list of URLs."""
        return frozenset(name for name, one in self.inputs.items() if one.takes)

    @property
    def default_images(self) -> int:
        """The number of images of a request that does not give it, at least 1."""
        return images_asked({name: one.default for name, one in self.inputs.items()})

    def fingerprint(self) -> str:
        """Hex; the same as long as values mean the same."""
        schemas = {name: one.schema for name, one in self.inputs.items()}
        text = json.dumps([schemas, self._shared, sorted(self.required)], sort_keys=True, default=str)
        return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
