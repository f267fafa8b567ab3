"""The catalogue: prices that are prices, pages, and what is kept of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.client import model_list
from batcher.client.api import Api
from batcher.client.catalogue import ask, price_of
from tests.support import virtual
from tests.support.rude_server import answer, serving

TOKEN = "token-of-the-test"
MODEL = "a/b/text-to-image"
SCHEMA = {"type": "object", "required": ["prompt", "image_urls"], "properties": {"prompt": {"type": "STRING"}}}


@pytest.mark.parametrize(
    ("entry", "price", "words"),
    [
        ({"base_price_usd": 0.04, "price_unit": "output"}, 0.04, ""),
        ({"base_price_usd": 0, "price_unit": "image"}, 0.0, ""),
        ({"base_price_usd": 0.5, "price_unit": "second"}, None, "$0.50 per second"),
        ({"base_price_usd": 0.5}, None, "$0.50 per request"),
        ({"base_price_usd": True, "price_unit": "output"}, None, ""),
        ({"base_price_usd": -1, "price_unit": "output"}, None, ""),
        ({}, None, ""),
    ],
)
def test_only_a_price_of_an_image_is_one(entry: dict[str, Any], price: float | None, words: str) -> None:
    assert price_of(entry) == (price, words)


def offer(entry: Any, status: int = 200, given: float | None = None) -> Any:
    async def story() -> Any:
        content = entry if isinstance(entry, bytes) else answer(entry, status)
        async with serving(content) as rude, Api(rude.base_url, TOKEN) as api:
            return await ask(api, MODEL, given)

    return virtual.run(story())


@pytest.mark.parametrize(("given", "price", "word"), [(0.5, 0.5, "--price is used"), (0.01, 0.04, "higher")])
def test_the_higher_of_two_prices_counts_and_is_said(given: float, price: float, word: str) -> None:
    got = offer({"base_price_usd": 0.04, "price_unit": "image", "input_schema": SCHEMA}, given=given)
    assert got.price == price
    assert any(word in warning for warning in got.warnings)


def test_a_price_by_the_second_is_told_and_not_taken() -> None:
    got = offer({"base_price_usd": 0.5, "price_unit": "second", "input_schema": SCHEMA})
    assert got.price is None
    assert "$0.50 per second" in got.warnings[0]


def test_an_input_that_is_asked_for_and_does_not_exist_is_ignored_and_said() -> None:
    got = offer({"input_schema": SCHEMA})
    assert got.schema.required == {"prompt"}
    assert "image_urls" in got.warnings[-1]


HTML = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"


@pytest.mark.parametrize("entry", [HTML, answer([1, 2]), answer({"detail": "no"}, 501)])
def test_a_broken_catalogue_is_no_schema_and_no_end_of_the_run(entry: bytes) -> None:
    got = offer(entry)
    assert (got.schema, got.price) == (None, None)
    assert "catalogue is broken" in got.warnings[0]


def test_all_pages_are_read_and_kept_with_their_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pages = [
        {"models": [{"model_id": f"v/m{page}-{at}", "display_name": f"M {at}"} for at in range(3)], "total": 6}
        for page in range(2)
    ]

    async def story() -> tuple[Any, str]:
        async with serving(*map(answer, pages)) as rude, Api(rude.base_url, TOKEN) as api:
            return await model_list.read(api), rude.base_url

    catalogue, base_url = virtual.run(story())
    assert len(catalogue.models) == 6
    assert [model.model_id for model in catalogue.find(["m1-2", "M"])] == ["v/m1-2"]
    kept = model_list.kept(base_url)
    assert kept is not None
    assert model_list.is_recent(kept)
    assert [model.model_id for model in kept.models] == [model.model_id for model in catalogue.models]
    (file,) = (tmp_path / "batcher").iterdir()
    file.write_text(json.dumps({"models": "x", "at": 1}))
    assert model_list.kept(base_url) is None or not model_list.kept(base_url).models  # type: ignore[union-attr]


def test_without_the_service_the_default_model_is_known() -> None:
    (model,) = model_list.builtin().models
    assert model.schema is not None
    assert "aspect_ratio" in model.schema.inputs
