"""The file host: what it hands out, and everything that may be wrong with it."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from PIL import Image
from yarl import URL

from batcher.simulator import file_bytes
from batcher.simulator.faults import FILES
from tests.simulator.bare_client import TOKEN, Client, service
from tests.support.virtual import run


async def url_of(client: Client, **inputs: Any) -> str:
    return str((await client.result(await client.submit(**inputs)))["output"]["image"])


def test_a_file_is_what_the_pure_function_says_and_its_link_is_percent_encoded() -> None:
    async def story() -> None:
        async with service(latency=0) as client:
            url = await url_of(client, seed=3)
            assert "%3D%3D/output/" in url
            assert url.endswith("_output.png")
            status, body, headers = await client.file(url)
            assert (status, headers["Content-Type"]) == (200, "image/png")
            assert int(headers["Content-Length"]) == len(body)
            assert body == file_bytes({"prompt": "a heron", "seed": 3})
            assert client.stats()["files"] == 1

    run(story())


def test_a_link_with_its_percent_encoding_undone_works_and_is_counted() -> None:
    async def story() -> None:
        async with service(latency=0) as client:
            url = await url_of(client)
            assert (await client.file(url.replace("%3D", "=")))[0] == 200
            assert client.stats()["altered_links"] == 1
            assert (await client.file(url))[0] == 200
            assert client.stats()["altered_links"] == 1

    run(story())


def test_a_link_that_was_never_given_out_leads_nowhere() -> None:
    async def story() -> None:
        async with service(latency=0) as client:
            url = await url_of(client)
            second = url.replace("AAAAAAAAAA%3D%3D", "AQAAAAAAAA%3D%3D")
            assert second != url
            for other in (
                url.replace("%3D", "%253D"),
                url[:-4] + ".jpg",
                url + "x",
                url.replace("/files/", "/files/A"),
                second,
            ):
                assert (await client.file(other))[0] == 404

    run(story())


def test_a_token_that_reaches_the_file_host_is_counted() -> None:
    async def story() -> None:
        async with service(latency=0) as client:
            await client.call("GET", await url_of(client), headers={"Authorization": TOKEN})
            assert client.stats()["token_leaks"] == 1

    run(story())


def test_a_link_dies_and_a_fresh_result_has_a_fresh_one() -> None:
    async def story() -> None:
        async with service(latency=0, link_lifetime=60) as client:
            request_id = await client.submit()
            old = (await client.result(request_id))["output"]["image"]
            await asyncio.sleep(59)
            assert (await client.file(old))[0] == 200
            await asyncio.sleep(2)
            assert (await client.file(old))[0] == 403
            assert (await client.file((await client.result(request_id))["output"]["image"]))[0] == 200

    run(story())


def test_files_are_padded_to_the_size_of_the_profile() -> None:
    async def story() -> None:
        async with service(latency=0, image_bytes=50_000) as client:
            url = await url_of(client)
            status, body, headers = await client.file(url)
            assert (status, headers["Content-Type"], len(body)) == (200, "image/png", 50_000)
            assert Image.open(io.BytesIO(body)).size == (320, 180)

    run(story())


def fetched(kind: str, **more: Any) -> tuple[int, bytes, dict[str, str], bytes]:
    async def story() -> tuple[int, bytes, dict[str, str], bytes]:
        async with service(latency=0, faults=[{"where": "file", "kind": kind, **more}]) as client:
            status, body, headers = await client.file(await url_of(client))
            return status, body, dict(headers), file_bytes({"prompt": "a heron"})

    return run(story())


@pytest.mark.parametrize("kind", sorted(kind for kind in FILES if kind[:3].isdigit()))
def test_the_file_host_answers_every_error(kind: str) -> None:
    status, _, headers, _ = fetched(kind)
    assert status == int(kind[:3])
    assert ("Retry-After" in headers) == kind.endswith("_seconds")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("wrong_type", "text/html"), ("no_type", "application/octet-stream"), ("no_length", "image/png")],
)
def test_a_file_can_come_under_wrong_headers(kind: str, type_: str) -> None:
    _, body, headers, whole = fetched(kind)
    assert body == whole
    assert headers["Content-Type"].startswith(type_)
    assert ("Content-Length" in headers) == (kind != "no_length")


def test_a_file_can_come_slowly() -> None:
    for kind in ("slow", "trickle"):
        _, body, _, whole = fetched(kind, seconds=30)
        assert body == whole


@pytest.mark.parametrize("kind", ["truncated", "drop"])
def test_a_file_can_break_off(kind: str) -> None:
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        fetched(kind)


@pytest.mark.parametrize("kind", ["empty", "html_200", "short", "corrupt", "bomb"])
def test_a_file_can_be_no_image_at_all(kind: str) -> None:
    status, body, headers, whole = fetched(kind)
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert body != whole
    with pytest.raises((OSError, SyntaxError, Image.DecompressionBombError)):
        Image.open(io.BytesIO(body)).load()


@pytest.mark.parametrize("kind", ["wrong_ratio", "black", "placeholder"])
def test_a_file_can_be_the_wrong_image(kind: str) -> None:
    _, body, _, whole = fetched(kind)
    assert body != whole
    image = Image.open(io.BytesIO(body))
    assert (image.width * 9 == image.height * 16) == (kind != "wrong_ratio")


def test_a_file_can_be_elsewhere() -> None:
    async def story(kind: str) -> tuple[str | None, int, int]:
        async with service(latency=0, faults=[f"file:{kind}"]) as client:
            status, _, headers = await client.file(await url_of(client))
            assert status == 302
            status_there, _, _ = await client.file(headers["Location"])
            return URL(headers["Location"]).host, status_there, client.stats()["strays"]

    assert run(story("redirect_same")) == ("127.0.0.1", 200, 0)
    assert run(story("redirect_other")) == ("localhost", 200, 1)


def test_a_huge_file_is_as_long_as_told() -> None:
    _, body, headers, _ = fetched("huge", size=1_000_000)
    assert len(body) == int(headers["Content-Length"]) == 1_000_000


def test_an_endless_file_ends_when_nobody_takes_it_any_more() -> None:
    async def story() -> None:
        async with service(latency=0, faults=["file:endless"]) as client:
            async with client.session.get(URL(await url_of(client), encoded=True)) as answer:
                assert len(await answer.content.readexactly(500_000)) == 500_000
            await asyncio.sleep(1)
            assert json.dumps(client.stats())

    run(story())
