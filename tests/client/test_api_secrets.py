"""The token goes to one origin and into no text, and nothing in an answer chooses where calls go."""

import asyncio
import json
import traceback
from typing import Any
from urllib.parse import quote

import pytest

from batcher.client.api import Api, checked_base
from batcher.core.errors import AccountError, CallError, Rejected, UsageError
from batcher.core.job import Accepted, FailedThere
from tests.client.test_api_outcomes import TOKEN, asked, cancel, look, submit
from tests.support import virtual
from tests.support.rude_server import ACCEPTED, answer, hang_up, serving


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_takes_no_token_along(status: int) -> None:
    async def story() -> None:
        async with serving(ACCEPTED) as elsewhere:
            moved = answer(b"", status, Location=f"http://127.0.0.1:{elsewhere.port}/v1/requests/r-1/result")
            async with serving(moved) as rude, Api(rude.base_url, TOKEN) as api:
                for ask in (submit, look, cancel):
                    with pytest.raises(CallError):
                        await ask(api)
                assert len(rude.seen) >= 3
                assert all(seen.headers["authorization"] == f"Bearer {TOKEN}" for seen in rude.seen)
            assert elsewhere.seen == []

    asyncio.run(story())


def test_urls_in_an_answer_are_not_where_the_next_call_goes() -> None:
    async def story() -> None:
        async with serving(ACCEPTED) as elsewhere:
            urls = {
                f"{verb}_url": f"http://127.0.0.1:{elsewhere.port}/{verb}" for verb in ("status", "result", "cancel")
            }
            reply = answer({"request_id": "r-1", "status": "in_queue", **urls})
            async with serving(reply) as rude, Api(rude.base_url, TOKEN) as api:
                await submit(api)
                await look(api)
                await cancel(api)
            assert elsewhere.seen == []

    asyncio.run(story())


def test_a_cookie_is_not_sent_back() -> None:
    _, rude = asked(
        answer({"request_id": "r-1"}, Set_Cookie="session=1"), ask=lambda api: asyncio.gather(submit(api), submit(api))
    )
    assert all("cookie" not in seen.headers for seen in rude.seen)


def test_a_proxy_of_the_environment_does_not_see_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with serving(ACCEPTED) as proxy, serving(ACCEPTED) as rude:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("no_proxy", "")
            async with Api(rude.base_url, TOKEN) as api:
                assert await submit(api) == Accepted(request_id="r-1")
            assert proxy.seen == []

    asyncio.run(story())


ESCAPED = json.dumps(TOKEN)[1:-1].replace("/", "\\/")
CODED = "".join(f"\\u{ord(letter):04x}" for letter in TOKEN)
REFLECTIONS = [
    answer({"detail": f"the token {TOKEN} is bad"}, 400),
    answer({"error_code": 400004, "error_message": f"Bearer {TOKEN}"}, 400),
    answer(b'{"detail": "the token %s is bad"}' % ESCAPED.encode(), 400),
    answer(b'{"detail": "the token %s is bad"}' % CODED.encode(), 422),
    answer({"status": "failed", "error": {"message": TOKEN, "code": TOKEN}}),
    answer({"status": TOKEN}),
    answer(f"<html>{TOKEN}</html>".encode(), 502),
    answer(b"", 302, Location=f"https://elsewhere.example/?{TOKEN}"),
    b"HTTP/1.1 200 " + TOKEN.encode() + b"\r\n" + TOKEN.encode() + b"\r\n\r\n",
    hang_up,
]


@pytest.mark.parametrize("reflection", REFLECTIONS)
@pytest.mark.parametrize("ask", [submit, look, cancel])
def test_the_token_is_in_no_text_even_when_the_service_repeats_it(reflection: Any, ask: Any) -> None:
    came, _ = asked(reflection, ask=ask)
    texts = [repr(came), str(came)]
    if isinstance(came, Exception):
        texts += traceback.format_exception(came)
        texts += [repr(came.args), repr(getattr(came, "cause", "")), repr(came.__cause__)]
    for text in texts:
        assert TOKEN not in text
        assert TOKEN.split("/")[0] not in text


def test_the_client_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Api("https://host.example/v1", TOKEN))


def test_what_stands_around_a_repeated_token_is_kept() -> None:
    came, _ = asked(answer(b'{"status": "failed", "error": "say \\"%s\\" again"}' % ESCAPED.encode()), ask=look)
    assert isinstance(came, FailedThere)
    assert came.cause.message == 'say "[token]" again'


@pytest.mark.parametrize("token", ["id", "any", "a", "status"])
def test_a_word_for_a_token_does_not_garble_the_answers(token: str) -> None:
    async def story() -> Accepted:
        async with serving(ACCEPTED) as rude, Api(rude.base_url, token) as api:
            return await submit(api)

    assert virtual.run(story()) == Accepted(request_id="r-1")


TRICKS = [
    "",
    "..",
    "../../balance",
    "a/b",
    "a?b=1",
    "a#b",
    "a%2Fb",
    "a b",
    "a\r\nX: y",
    "é",
    "a" * 129,
    "a\n",
    "@evil",
    "a.b",
]


@pytest.mark.parametrize("request_id", TRICKS)
def test_an_id_with_path_tricks_never_reaches_the_network(request_id: str) -> None:
    for verb in ("poll", "cancel"):
        came, rude = asked(ACCEPTED, ask=lambda api, verb=verb: getattr(api, verb)(request_id))  # type: ignore[misc]
        assert isinstance(came, Rejected)
        assert rude.seen == []


@pytest.mark.parametrize("model", ["", "..", "a/../b", "/a", "a//b", "a?b", "a b", "a\r\nb", "a/b/", "%2e%2e/x", "é"])
def test_a_model_id_with_path_tricks_never_reaches_the_network(model: str) -> None:
    for call in ("submit", "model"):
        arguments = [model, {}] if call == "submit" else [model]
        came, rude = asked(ACCEPTED, ask=lambda api, call=call, given=arguments: getattr(api, call)(*given))  # type: ignore[misc]
        assert isinstance(came, Rejected)
        assert rude.seen == []
        assert not isinstance(came, AccountError)


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://localhost.evil.example/v1",
        "http://10.0.0.1/v1",
        "https://user:secretword@host.example/v1",
        "https://secretword@host.example/v1",
        "https://@host.example/v1",
        "https://:@host.example/v1",
        "https://user:secretword@host.example/v1?x=1",
        "https://host.example/v1?key=1",
        "https://host.example/v1?",
        "https://host.example/v1#x",
        "ftp://host.example/v1",
        "host.example/v1",
        "https://",
        "https:///v1",
        "",
        "http://[::1",
        "http://localhost:abc/v1",
        "http://localhost:99999/v1",
        "http://localhost:0/v1",
        "https://ho st/v1",
        "https://host.example/v 1",
        "http://127.0.0.1\\@evil.example/v1",
        "http://127.0.0.1\\.evil.example/v1",
        "https://host.example/\x1b[31m",
        "https://hôst.example/v1",
        "javascript:alert(1)",
    ],
)
def test_a_base_that_is_no_safe_api_root_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_base(url)
    assert "secretword" not in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://model-api.runcomfy.net/v1", "https://model-api.runcomfy.net/v1"),
        (" https://host.example/v1/ ", "https://host.example/v1"),
        ("https://host.example:8443/a/b/v1", "https://host.example:8443/a/b/v1"),
        ("https://host.example", "https://host.example"),
        ("http://127.0.0.1:8765/v1", "http://127.0.0.1:8765/v1"),
        ("http://localhost:8765/v1", "http://localhost:8765/v1"),
        ("http://[::1]:8765/v1", "http://[::1]:8765/v1"),
        ("https://HOST.example/v1", "https://HOST.example/v1"),
    ],
)
def test_a_base_is_taken_without_its_last_slash(url: str, root: str) -> None:
    assert checked_base(url) == root
    assert quote(root, safe=":/[]") == root
