"""The whole catalogue, read page by page. A copy with its date is kept in the user's cache folder."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batcher.client.api import Api
from batcher.client.catalogue import price_of
from batcher.client.protocol import is_model_id
from batcher.core.errors import CallError, ServiceError
from batcher.core.job import utc
from batcher.core.one_line import one_line
from batcher.core.units import show_usd
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled
from batcher.store.files.whole import write_whole

PAGE = 100  # entries; the service allows 500, other clients ask for 100
MOST_PAGES = 100
ELSEWHERE = "not published; elsewhere $0.02 per image (Google, fal, Replicate; November 2026)"
KEPT = 24 * 3600.0  # seconds for which the copy is used without asking the service


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of the catalogue; its texts are safe to print.

    model_id: ``vendor/name/.../task``.
    tasks: such as ``text-to-image``.
    description: one line, "" for none.
    price: dollars per image, None if the catalogue has no such price.
    price_words: the price with its unit and note, "" for none.
    schema: None if the catalogue has none, or none that can be read.
    """

    model_id: str
    name: str
    tasks: tuple[str, ...]
    description: str
    price: float | None
    price_words: str
    schema: ModelSchema | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A list of models. at: when the service was asked, Unix seconds; None for the list that comes with batcher."""

    models: tuple[Model, ...]
    at: float | None

    def find(self, words: Sequence[str]) -> list[Model]:
        """The models that have all the words in id, name, task or description, in any letter case."""
        wanted = [word.casefold() for word in words]
        return [model for model in self.models if all(word in _text(model) for word in wanted)]

    def get(self, model_id: str) -> Model | None:
        return next((model for model in self.models if model.model_id == model_id), None)


def builtin() -> Catalogue:
    """The list that comes with batcher: the default model."""
    entry = {
        "model_id": DEFAULT_MODEL, "display_name": "Imagen 4 Fast", "categories": ["text-to-image"],
        "pricing_note": ELSEWHERE,
    }  # fmt: skip
    return Catalogue((model_of(entry),), None)


def kept(base_url: str) -> Catalogue | None:
    """The copy of an earlier ``read``, of any age; None if there is none that can be read."""
    try:
        data = json.loads(_file(base_url).read_bytes())
        entries, at = data["models"], float(data["at"])
        return Catalogue(tuple(model_of(entry) for entry in entries if _is_entry(entry)), at)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_recent(catalogue: Catalogue) -> bool:
    """Whether the list may be used without asking the service again."""
    return catalogue.at is not None and 0 <= time.time() - catalogue.at < KEPT


async def read(api: Api) -> Catalogue:
    """Read all pages, and keep a copy unless the service is the simulator. Raises ServiceError, AccountError."""
    entries: dict[str, dict[str, Any]] = {}
    try:
        for page in range(MOST_PAGES):
            query = {"include_schema": "true", "limit": str(PAGE), "offset": str(page * PAGE)}
            answer = await api.models(query)
            listed = answer.get("models")
            before = len(entries)
            if isinstance(listed, list):
                entries |= {entry["model_id"]: entry for entry in listed if _is_entry(entry)}
            total = answer.get("total")
            if len(entries) == before or (isinstance(total, int) and len(entries) >= total):
                break
    except CallError as problem:
        hint = "`batcher models show` describes Imagen 4 Fast without the catalogue."
        raise ServiceError(f"the catalogue can't be read: {problem.cause.message}", hint=hint) from None
    now = time.time()
    if not api.simulated:
        with suppress(OSError):  # without a copy the next command asks the service
            path = _file(api.base_url)
            path.parent.mkdir(parents=True, exist_ok=True)
            kept_list = {"at": now, "date": utc(now), "models": list(entries.values())}
            write_whole(path, [json.dumps(kept_list)], durable=False)
    return Catalogue(tuple(model_of(entry) for entry in entries.values()), now)


def model_of(entry: Mapping[str, Any]) -> Model:
    """The Model of an entry of the catalogue."""
    model_id, given = entry["model_id"], entry.get("input_schema")
    schema = bundled(model_id)
    if isinstance(given, dict):
        with suppress(ValueError):
            schema = ModelSchema.from_json(model_id, {"required": entry.get("required_inputs"), **given})
    price, words = price_of(entry)
    if price is not None:
        words = f"{show_usd(price)} per image"
    note = _line(entry.get("pricing_note"), 200)
    tasks = entry.get("categories")
    return Model(
        model_id=model_id, name=_line(entry.get("display_name"), 80),
        tasks=tuple(_line(task, 40) for task in tasks[:10]) if isinstance(tasks, list) else (),
        description=_line(entry.get("description"), 300), price=price,
        price_words=f"{words} ({note})" if words and note else words or note, schema=schema,
    )  # fmt: skip


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("model_id"), str) and is_model_id(entry["model_id"])


def _line(value: Any, most: int) -> str:
    return one_line(value, most) if isinstance(value, str) else ""


def _text(model: Model) -> str:
    return " ".join([model.model_id, model.name, *model.tasks, model.description]).casefold()


def _file(base_url: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "").strip() or str(
        Path(os.environ.get("HOME", "~")).expanduser() / ".cache"
    )
    host = "".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in urlsplit(base_url).netloc)
    return Path(cache) / "batcher" / f"models-{host}.json"
