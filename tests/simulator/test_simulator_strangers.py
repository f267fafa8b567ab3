"""Clients that know nothing of batcher, written after the official ones' flows, work against the simulator."""

import asyncio
import hashlib
from typing import Any

import aiohttp
from yarl import URL

from tests.simulator.bare_client import IMAGEN, service
from tests.support.virtual import run

HEADERS = {"Authorization": "Bearer whatever"}
BAD_DAY: dict[str, Any] = {
    "latency": "20-60",
    "slots": 40,
    "output_shape": "both",
    "rate_limit": 20,
    "retry_after": "seconds",
    "faults": ["result:failed:0.1", "file:503:0.2", "status:502_html:0.05", "result:429:0.05"],
}


async def like_the_cli(base: str, session: aiohttp.ClientSession, prompt: str) -> tuple[str, bytes]:
    """Submit, ask /status every two seconds until it is terminal, read /result, fetch what ``output`` names."""
    async with session.post(f"{base}/models/{IMAGEN}", json={"prompt": prompt}, headers=HEADERS) as answer:
        answer.raise_for_status()
        submitted = await answer.json()
    while True:
        async with session.get(f"{base}/requests/{submitted['request_id']}/status", headers=HEADERS) as answer:
            status = (await answer.json())["status"].lower()
        if status in {"completed", "succeeded", "failed", "cancelled", "canceled"}:
            break
        assert status in {"in_queue", "in_progress"}
        await asyncio.sleep(2)
    async with session.get(submitted["result_url"], headers=HEADERS) as answer:
        result = await answer.json()
    async with session.get(URL(result["output"]["image"], encoded=True)) as answer:
        return result["status"], await answer.read()


async def like_the_nodes(base: str, session: aiohttp.ClientSession, prompt: str) -> tuple[str, bytes]:
    """Submit, then read only /result?include_cost=true every five seconds, and take ``images`` before ``image``."""
    async with session.post(f"{base}/models/{IMAGEN}", json={"prompt": prompt}, headers=HEADERS) as answer:
        request_id = (await answer.json())["request_id"]
    while True:
        url = f"{base}/requests/{request_id}/result?include_cost=true"
        async with session.get(url, headers=HEADERS, allow_redirects=False) as answer:
            assert answer.status == 200
            result = await answer.json()
        if result["status"] in {"succeeded", "completed", "failed"}:
            break
        await asyncio.sleep(5)
    assert result["cost"] >= 0
    output = result["output"]
    async with session.get((output.get("images") or [output["image"]])[0], allow_redirects=False) as answer:
        assert answer.content_type.startswith("image/")
        return result["status"], await answer.read()


def test_a_client_like_the_official_cli_gets_its_image() -> None:
    async def story() -> None:
        async with service(latency=9, queue=4) as client:
            status, picture = await like_the_cli(client.address.base_url, client.session, "a heron")
            assert status == "succeeded"
            assert picture.startswith(b"\x89PNG")
            assert client.stats()["token_leaks"] == 0

    run(story())


def test_a_client_like_the_official_nodes_gets_its_image() -> None:
    async def story() -> None:
        async with service(latency=9, success_word="completed", output_shape="images") as client:
            status, picture = await like_the_nodes(client.address.base_url, client.session, "a heron")
            assert status == "completed"
            assert picture.startswith(b"\x89PNG")
            assert client.stats()["charged"] == 1

    run(story())


async def stubborn(client: aiohttp.ClientSession, base: str, number: int) -> tuple[str, str, str]:
    """A client that gets along with a bad day: the same job, its end and the hash of its picture."""

    async def call(method: str, url: str, **options: Any) -> Any:
        while True:
            async with client.request(method, URL(url, encoded=True), **options) as answer:
                if answer.status == 200:
                    return await (answer.json() if answer.content_type == "application/json" else answer.read())
                pause = float(answer.headers.get("Retry-After", 1 + number % 7 / 10))
            await asyncio.sleep(pause)

    body = {"prompt": f"picture {number}", "seed": number}
    request_id = (await call("POST", f"{base}/models/{IMAGEN}", json=body, headers=HEADERS))["request_id"]
    status = ""
    while status != "completed":
        await asyncio.sleep(10)
        status = (await call("GET", f"{base}/requests/{request_id}/status", headers=HEADERS))["status"]
    result = await call("GET", f"{base}/requests/{request_id}/result", headers=HEADERS)
    if result["status"] == "failed":
        return request_id, "failed", result["finished_at"]
    picture = await call("GET", result["output"]["image"])
    return request_id, hashlib.sha256(picture).hexdigest(), result["finished_at"]


def test_a_hundred_jobs_on_a_bad_day_go_the_same_way_every_time() -> None:
    async def story() -> tuple[Any, ...]:
        async with service(**BAD_DAY) as client:
            base = client.address.base_url
            ends = await asyncio.gather(*(stubborn(client.session, base, number) for number in range(100)))
            return ends, client.stats(), asyncio.get_running_loop().time()

    first = run(story())
    assert run(story()) == first
    stats = first[1]
    assert stats["submits_per_input"] == {"distinct": 100, "max": 1, "histogram": {"1": 100}}
    assert stats["charged"] == stats["finished"] == 100 - stats["failed"]
    assert 3 < stats["failed"] < 25
    assert stats["peak_running"] == 40
    assert stats["refused"] > 20
