"""Catalog entries that are broken, enormous or malicious: at worst inputs go unchecked, and a warning says so."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from batcher.client.api import Api
from batcher.client.catalogue import Offer, ask
from batcher.core.errors import ManifestError
from batcher.manifest.schema import ModelSchema
from tests.security.ground import ran, recorder
from tests.support.effort import at_most
from tests.support.file_host import FileHost, answer, file_host
from tests.support.terminal import harmless

PROMPT = {"type": "string"}


def offered(entry: Any) -> tuple[Offer, list[str]]:
    """What becomes of a catalog entry, and what was asked of the host that ``{other}`` in it names."""

    async def main() -> tuple[Offer, list[str]]:
        with recorder() as (origin, heads):
            body = json.dumps(entry).replace("{other}", origin).encode()
            async with file_host({"/v1/models/a/b": answer(body)}) as host:
                return await _offer(host), heads

    return asyncio.run(main())


async def _offer(host: FileHost) -> Offer:
    async with Api(f"http://127.0.0.1:{host.port}/v1", "a-token-of-some-length") as api:
        offer = await ask(api, "a/b", None)
    if offer.schema is not None:
        for name in list(offer.schema.inputs)[:20]:
            for value in ("a" * 40 + "!", 7, None, [], ["x"], {"a": {"b": 1}}, 10**30, 2.5):
                words = offer.schema.input(name).check(value)
                assert words is None or (harmless(words) and len(words) < 2_000), words
    return offer


def entry(**properties: Any) -> dict[str, Any]:
    return {
        "base_price_usd": 0.02,
        "price_unit": "output",
        "input_schema": {"properties": {"prompt": PROMPT, **properties}},
    }


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1,1000}{1,1000}", "(?=a)(a+)+$", "("]
)
def test_a_pattern_that_would_never_end_ends_or_is_called_broken(pattern: str) -> None:
    schema = ModelSchema.from_json("a/b", {"properties": {"x": {"type": "string", "pattern": pattern}}})
    with at_most(20):
        assert schema.input("x").check("a" * 50_000 + "!")


@pytest.mark.parametrize(
    "reference",
    [
        "{other}/schema.json",
        "https://evil.example/schema",
        "file:///etc/passwd",
        "{other}",
        "x.json",
        "#",
        "#/properties/x",
        "#/$defs/missing",
        "urn:x",
    ],
)
def test_a_reference_to_elsewhere_is_never_followed(reference: str) -> None:
    offer, asked = offered(entry(x={"$ref": reference}, y={"$schema": reference, "$id": reference, "type": "string"}))
    assert asked == []
    assert offer.price == 0.02


NONSENSE: dict[str, Any] = {
    "no object": [1],
    "a text": "x",
    "null": None,
    "properties as a list": {"properties": [1]},
    "required as a number": {"required": 7},
    "a type of a type": {"properties": {"x": {"type": {"type": "x"}}}},
    "types as a list": {"properties": {"image": {"type": ["string", "null"]}}},
    "alternatives as a number": {"properties": {"image_url": {"anyOf": 5, "oneOf": {"a": 1}}}},
    "deep": {"properties": {"x": {"items": {}}}},
    "enum as a text": {"properties": {"x": {"enum": "abc"}}},
    "enum of lists": {"properties": {"x": {"enum": [[1], {"a": [2]}, None]}}},
    "numbers as keywords": {"properties": {"x": {"minimum": "a", "maxLength": -1, "multipleOf": 0}}},
    "bools": {"properties": {"x": True, "y": False}},
    "names": {"properties": {"\x1b[31m": {}, "": {}, "\u202e": {}, "a" * 9_000: {}, "\ud800": {}}},
    "$defs as a list": {"$defs": [1], "properties": {}},
}
NONSENSE["deep"]["properties"]["x"] = json.loads('{"items":' * 300 + "{}" + "}" * 300)


@pytest.mark.parametrize("words", NONSENSE)
def test_a_schema_that_makes_no_sense_costs_a_warning_at_most(words: str) -> None:
    offer, _ = offered({"base_price_usd": 0.02, "price_unit": "output", "input_schema": NONSENSE[words]})
    assert offer.price == 0.02
    assert all(harmless(warning) and len(warning) < 1_000 for warning in offer.warnings)


def test_an_enormous_choice_is_checked_quickly_and_not_printed_whole() -> None:
    with at_most(100):
        offer, _ = offered(entry(style={"type": "string", "enum": [f"style-{number:06}" for number in range(150_000)]}))
        assert offer.schema is not None
        assert offer.schema.input("style").check("style-000007") is None
        problem = offer.schema.input("style").check("none of them")
    assert problem is not None
    assert "149,980 more" in problem


@pytest.mark.parametrize("price", [10**400, -1, 1e308, "0.02", True, None, [], {"a": 1}, float("nan"), float("inf")])
@pytest.mark.parametrize("unit", ["output", {"a": 1}, ["output"], None])
def test_a_price_that_is_none_is_no_price(price: Any, unit: Any) -> None:
    offer, _ = offered(
        {"base_price_usd": price, "price_unit": unit, "input_schema": {"properties": {"prompt": PROMPT}}}
    )
    assert offer.price is None


@pytest.mark.parametrize(
    "model",
    [
        "../../requests/r1/cancel",
        "a/../b",
        "a b",
        "/v1/x",
        "a//b",
        "a?x=1",
        "a#b",
        "a%2e",
        "\x1b[31m",
        "http://x/y",
        "a/b\n",
        ".",
    ],
)
def test_a_model_id_that_could_bend_the_address_is_refused_before_anything_is_asked(tmp_path: Path, model: str) -> None:
    async def main() -> list[str]:
        async with file_host({}) as host, Api(f"http://127.0.0.1:{host.port}/v1", "a-token-of-some-length") as api:
            with pytest.raises(ManifestError) as caught:
                await ask(api, model, None)
            assert harmless(str(caught.value).replace("\n", ""))
            return host.requests

    assert asyncio.run(main()) == []
    prompts = tmp_path / "m.txt"
    prompts.write_text("a\n")
    assert ran("plan", prompts, "--model", model, "-o", tmp_path / "run").returncode == 65
