"""Files that the service is to fetch: what a look from here says of them."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from batcher.images.input_files import Finding, check_links
from batcher.manifest.schema.media import wanted
from batcher.runner.intake.input_check import FIRST, SAMPLE, _chosen

PICTURE = {"Content-Type": "image/png"}


async def host(request: web.Request) -> web.StreamResponse:  # noqa: PLR0911  one for each path
    assert "Authorization" not in request.headers
    assert "Cookie" not in request.headers
    match request.path:
        case "/good":
            return web.Response(body=b"x" * 100, headers=PICTURE)
        case "/only-get":
            return (
                web.Response(status=206, body=b"x", headers={**PICTURE, "Content-Range": "bytes 0-0/80000000"})
                if (request.method == "GET")
                else web.Response(status=403)
            )
        case "/page":
            return web.Response(text="<html>", content_type="text/html")
        case "/film":
            return web.Response(body=b"x" * 100, content_type="video/mp4")
        case "/busy":
            return web.Response(status=503)
        case "/moved":
            return web.Response(status=302, headers={"Location": "/good"})
        case "/inside":
            return web.Response(status=302, headers={"Location": "https://192.168.0.1/x"})
    return web.Response(status=403, headers={"Set-Cookie": "a=b"})


def looked(*paths: str, public_only: bool = False) -> dict[str, Finding]:
    async def story() -> dict[str, Any]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", host)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        root = f"http://127.0.0.1:{runner.addresses[0][1]}"
        takes = wanted("image_url", {"type": "string"})
        findings = await check_links(dict.fromkeys((root + path for path in paths), takes), public_only=public_only)
        await runner.cleanup()
        return {url.removeprefix(root): finding for url, finding in findings.items()}

    return asyncio.run(story())


def test_a_file_that_can_be_fetched_is_fine() -> None:
    assert looked("/good", "/moved") == {}


@pytest.mark.parametrize(("path", "word"), [("/closed", "HTTP 403"), ("/page", "web page")])
def test_a_file_that_can_not_be_fetched_is_an_error(path: str, word: str) -> None:
    finding = looked(path)[path]
    assert finding.error
    assert word in finding.reason


@pytest.mark.parametrize(("path", "word"), [("/busy", "HTTP 503"), ("/only-get", "80 MB"), ("/film", "video/mp4")])
def test_what_may_pass_and_what_is_only_advised_against_is_no_error(path: str, word: str) -> None:
    finding = looked(path)[path]
    assert not finding.error
    assert word in finding.reason


def test_a_redirect_into_a_private_network_is_not_followed() -> None:
    assert "not public" in looked("/inside", public_only=True)["/inside"].reason


def test_the_first_two_hundred_and_a_sample_of_the_others_are_looked_at() -> None:
    urls = [(f"https://example.com/{at}", ("m.csv", at, "image")) for at in range(5_000)]
    chosen = _chosen(iter(urls), everything=False)
    assert len(chosen) == FIRST + SAMPLE
    assert list(chosen)[:FIRST] == [url for url, _ in urls[:FIRST]]
    assert chosen == _chosen(iter(urls), everything=False)
    assert len(_chosen(iter(urls), everything=True)) == 5_000
