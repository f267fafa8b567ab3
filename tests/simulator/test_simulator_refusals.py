"""Wrong calls, limits, money and the catalogue."""

import asyncio
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.simulator.bare_client import IMAGEN, service
from tests.support.virtual import EPOCH, run

BANANA = "google/nano-banana-2/text-to-image"
SEEDREAM = "bytedance/seedream-5.0-pro/image-to-image"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/models/no/such/model", {"prompt": "a"}, 400, 400001),
        ("GET", "/v1/models/no/such/model", None, 400, 400001),
        ("GET", "/v1/requests/none/status", None, 404, 404001),
        ("GET", "/v1/requests/none/result", None, 404, 404001),
        ("POST", "/v1/requests/none/cancel", None, 404, 404001),
        ("GET", "/v1/requests/none/cancel", None, 404, None),
        ("GET", "/elsewhere", None, 404, None),
        ("GET", "/v1/models?limit=0", None, 422, None),
        ("GET", "/v1/models?offset=x", None, 422, None),
    ],
)
def test_a_wrong_call_gets_the_documented_error(method: str, path: str, body: Any, status: int, code: int) -> None:
    async def story() -> None:
        async with service() as client:
            got, answer, _ = await client.call(method, path, json=body)
            assert got == status
            assert answer.get("error_code") == code

    run(story())


@pytest.mark.parametrize(
    ("model", "body", "loc", "kind"),
    [
        (IMAGEN, {}, ["input", "prompt"], "missing"),
        (IMAGEN, {"prompt": 7}, ["input", "prompt"], "string_type"),
        (IMAGEN, {"prompt": "a", "aspect_ratio": "2:1"}, ["input", "aspect_ratio"], "enum"),
        (IMAGEN, {"prompt": "a", "seed": "7"}, ["input", "seed"], "integer_type"),
        (IMAGEN, {"prompt": "a", "seed": True}, ["input", "seed"], "integer_type"),
        (IMAGEN, ["prompt"], ["body"], "dict_type"),
        (BANANA, {"prompt": "a", "num_images": 5}, ["input", "num_images"], "less_than_equal"),
        (BANANA, {"prompt": "a", "num_images": 0}, ["input", "num_images"], "greater_than_equal"),
        (SEEDREAM, {"prompt": "a", "aspect_ratio": "1:1"}, ["input", "image"], "missing"),
        (SEEDREAM, {"prompt": "a", "aspect_ratio": "1:1", "image": ["u", 3]}, ["input", "image", 1], "string_type"),
        (
            SEEDREAM,
            {"prompt": "a", "aspect_ratio": "1:1", "image": [], "strength": "x"},
            ["input", "strength"],
            "float_type",
        ),
    ],
)
def test_wrong_inputs_are_refused_with_a_detail_list(model: str, body: Any, loc: list[Any], kind: str) -> None:
    async def story() -> None:
        async with service() as client:
            status, answer, _ = await client.call("POST", f"/v1/models/{model}", json=body)
            assert status == 422
            assert [(one["loc"], one["type"]) for one in answer["detail"]] == [(loc, kind)]
            assert client.stats()["submits_accepted"] == 0

    run(story())


def test_a_body_that_is_not_json_is_refused_and_an_unknown_input_is_not() -> None:
    async def story() -> None:
        async with service() as client:
            assert (await client.call("POST", f"/v1/models/{IMAGEN}", data=b"{"))[0] == 422
            await client.submit(style="unheard of")

    run(story())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}])
def test_a_call_without_a_token_is_error_400004_under_http_400(headers: dict[str, str]) -> None:
    async def story() -> None:
        async with service() as client:
            for path in ("/v1/models", "/v1/requests/none/status", "/prod/v2/balance"):
                status, body, _ = await client.call("GET", path, headers=headers)
                assert (status, body["error_code"]) == (400, 400004)

    run(story())


def test_only_listed_tokens_are_taken_when_there_is_a_list() -> None:
    async def story() -> None:
        async with service(tokens=["good"]) as client:
            assert (await client.call("GET", "/v1/models", headers={"Authorization": "Bearer good"}))[0] == 200
            assert (await client.call("GET", "/v1/models", headers={"Authorization": "Bearer bad"}))[0] == 400

    run(story())


def test_the_catalog_can_be_searched_and_paged_and_shows_schemas_on_demand() -> None:
    async def story() -> None:
        async with service(price=0.5) as client:
            _, everything, _ = await client.call("GET", "/v1/models")
            assert everything["total"] == len(everything["models"]) == 10
            assert (everything["limit"], everything["offset"]) == (100, 0)
            assert "input_schema" not in everything["models"][0]
            _, matching, _ = await client.call("GET", "/v1/models?search=banana&include_schema=true")
            assert matching["models"][0]["input_schema"]["required"] == ["prompt"]
            _, paged, _ = await client.call("GET", "/v1/models?limit=1&offset=1")
            assert (paged["total"], [m["model_id"] for m in paged["models"]]) == (10, [BANANA])
            _, kinds, _ = await client.call("GET", "/v1/models/categories")
            assert {"image-to-image", "text-to-image", "text-to-audio", "upscale"} <= set(kinds["categories"])
            assert (await client.call("GET", "/v1/models?limit=501"))[0] == 422
            _, imagen, _ = await client.call("GET", f"/v1/models/{IMAGEN}")
            assert (imagen["base_price_usd"], imagen["price_unit"]) == (0.5, "output")
            assert imagen["input_schema"]["properties"]["seed"]["default"] == 37644189
            assert len(imagen["input_schema"]["properties"]["prompt"]["default"]) == 127

    run(story())


@pytest.mark.parametrize("mode", ["none", "seconds", "date"])
def test_submits_over_the_rate_limit_get_429_and_reads_do_not(mode: str) -> None:
    async def story() -> None:
        async with service(rate_limit=0.25, rate_burst=2, retry_after=mode) as client:
            answers = [await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": str(n)}) for n in range(4)]
            assert [status for status, _, _ in answers] == [200, 200, 429, 429]
            header = answers[2][2].get("Retry-After")
            if mode == "none":
                assert header is None
            elif mode == "seconds":
                assert header == "4"
            else:
                assert header is not None
                assert parsedate_to_datetime(header).timestamp() == EPOCH + 4
            assert (await client.status(answers[0][1]["request_id"]))["status"] == "in_progress"
            await asyncio.sleep(4)
            await client.submit()
            stats = client.stats()
            assert (stats["refused"], stats["submits_received"], stats["submits_accepted"]) == (2, 5, 3)

    run(story())


def test_calls_of_all_kinds_can_be_limited_apart() -> None:
    async def story() -> Counter[int]:
        async with service(call_rate_limit=3, rate_shape="window", call_retry_after="seconds") as client:
            return Counter([(await client.call("GET", "/v1/models"))[0] for _ in range(5)])

    assert run(story()) == {200: 3, 429: 2}


def test_the_balance_runs_out_before_more_is_promised_than_there_is() -> None:
    async def story() -> None:
        async with service(latency=10, slots=1, balance=0.05, price=0.02) as client:
            ids = [await client.submit(seed=1), await client.submit(seed=2)]
            status, body, _ = await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "too much"})
            assert (status, body["error_code"]) == (400, 400002)
            await client.call("POST", f"/v1/requests/{ids[1]}/cancel")
            await client.submit(seed=3)
            await asyncio.sleep(30)
            _, balance, _ = await client.call("GET", "/prod/v2/balance")
            assert balance == {"balance_microdollars": 10_000, "balance_usd": 0.01, "currency": "USD"}

    run(story())
