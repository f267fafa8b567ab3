"""Who has the job now? Every way an HTTP call can end, as the value or exception that answers it."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.client import api as module
from batcher.client.api import Api
from batcher.core.errors import AccountError, BalanceGone, CallError, NotFound, NotSent, Refused, Rejected, Unclear
from batcher.core.job import Accepted, CancelledThere, CancelOutcome, FailedThere, Succeeded, Waiting
from tests.support import virtual
from tests.support.rude_server import ACCEPTED, DONE, RudeServer, Script, answer, hang_up, never, serving

MODEL = "google-deepmind/imagen-4/fast/text-to-image"
TOKEN = "sk-a-very-secret-token/with+odd=ends"


def asked(*answers: bytes | Script, ask: Callable[[Api], Awaitable[Any]], wall: float = 0.0) -> tuple[Any, RudeServer]:
    """What came of one call (a value, or the exception) in virtual time, and what the server saw."""

    async def story() -> tuple[Any, RudeServer]:
        async with serving(*answers) as rude, Api(rude.base_url, TOKEN, wall=lambda: wall) as api:
            try:
                return await ask(api), rude
            except (CallError, AccountError) as problem:
                return problem, rude

    return virtual.run(story())


async def submit(api: Api) -> Accepted:
    return await api.submit(MODEL, {"prompt": "a heron", "seed": 7})


async def look(api: Api) -> Any:
    return await api.poll("r-1")


async def cancel(api: Api) -> CancelOutcome:
    return await api.cancel("r-1")


def test_a_submit_sends_the_inputs_as_they_are() -> None:
    came, rude = asked(ACCEPTED, ask=lambda api: api.submit(MODEL, {"prompt": "Käse “5”", "seed": 7}))
    assert came == Accepted(request_id="r-1")
    (seen,) = rude.seen
    assert (seen.method, seen.target) == ("POST", f"/v1/models/{MODEL}")
    assert seen.body.decode() == '{"prompt":"Käse “5”","seed":7}'
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["content-type"] == "application/json"


def test_a_finished_result_gives_its_links_and_cost() -> None:
    came, rude = asked(DONE, ask=look)
    assert came == Succeeded(urls=("https://files.runcomfy.net/a.png",), cost_usd=0.02)
    assert [seen.target for seen in rude.seen] == ["/v1/requests/r-1/result?include_cost=true"]


def test_a_cancel_reads_the_outcome() -> None:
    came, rude = asked(answer({"outcome": "cancelled"}, 202), ask=cancel)
    assert came is CancelOutcome.CANCELLED
    assert [(seen.method, seen.target) for seen in rude.seen] == [("POST", "/v1/requests/r-1/cancel")]
    assert asked(answer({"outcome": "not_cancellable"}, 202), ask=cancel)[0] is CancelOutcome.TOO_LATE


def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, and nobody listens

        async def story() -> None:
            async with Api(f"http://127.0.0.1:{port}/v1", TOKEN) as api:
                with pytest.raises(NotSent) as caught:
                    await submit(api)
                assert caught.value.cause.kind == "unreachable"

        asyncio.run(story())


def test_a_name_that_does_not_resolve_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    async def story() -> None:
        async with Api("https://no-such-host.example/v1", TOKEN) as api:
            with pytest.raises(NotSent, match="no-such-host"):
                await submit(api)

    asyncio.run(story())


def test_a_connection_that_is_not_taken_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with Api("http://127.0.0.1:9/v1", TOKEN) as api:
            loop = asyncio.get_running_loop()

            async def silence(*_: object, **__: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(loop, "sock_connect", silence)
            before = loop.time()
            with pytest.raises(NotSent):
                await submit(api)
            assert loop.time() - before <= module.CONNECT + 2

    virtual.run(story())


async def half_an_answer(writer: Any) -> None:
    writer.write(answer({"request_id": "r-1"}, length=500))
    await writer.drain()


async def half_a_head(writer: Any) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def a_drip(writer: Any) -> None:
    writer.write(answer(b"", length=10**6))
    while True:
        await asyncio.sleep(5)
        writer.write(b" ")
        await writer.drain()


LOST: dict[str, bytes | Script] = {
    "dropped after the request": hang_up,
    "a 200 cut short": half_an_answer,
    "a head cut short": half_a_head,
    "silence": never,
    "a byte every five seconds": a_drip,
    "an empty 200": answer(b""),
    "an HTML page": answer(b"<html>504 Gateway Time-out</html>", 504),
    "an HTML page as 200": answer(b"<html>ok</html>"),
    "a list": answer([1, 2]),
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "500": answer({"detail": "oops"}, 500),
    "524 without a body": answer(b"", 524),
    "503 without Retry-After": answer({}, 503),
    "a redirect": answer(b"", 302, Location="https://elsewhere.example/"),
    "a timeout code": answer({}, 408),
    "not gzip": answer(b"nonsense", Content_Encoding="gzip"),
    "a nest of 100,000 lists": answer(b"[" * 100_000 + b"]" * 100_000),
    "a number of 5,000 digits": answer(b'{"request_id": ' + b"9" * 5000 + b"}"),
}


@pytest.mark.parametrize("how", LOST)
def test_a_submit_whose_answer_is_lost_is_unclear(how: str) -> None:
    came, rude = asked(LOST[how], ask=submit)
    assert isinstance(came, Unclear), came
    assert len(rude.seen) == 1, "a submit is never repeated"


@pytest.mark.parametrize("how", LOST)
def test_a_read_whose_answer_is_lost_is_asked_again_by_the_caller(how: str) -> None:
    assert isinstance(asked(LOST[how], ask=look)[0], Unclear)
    assert isinstance(asked(LOST[how], ask=cancel)[0], Unclear)


@pytest.mark.parametrize(
    "body", [{}, {"request_id": None}, {"request_id": ""}, {"request_id": "../../balance"}, {"request_id": "a" * 200}]
)
def test_an_acceptance_without_a_usable_id_is_unclear(body: dict[str, Any]) -> None:
    assert isinstance(asked(answer(body), ask=submit)[0], Unclear)


def test_a_slow_submit_is_given_its_time_and_no_more() -> None:
    async def late(writer: Any) -> None:
        await asyncio.sleep(module.SUBMIT - 5)
        writer.write(ACCEPTED)
        await writer.drain()

    assert asked(late, ask=submit)[0] == Accepted(request_id="r-1")

    async def timed(api: Api) -> float:
        before = asyncio.get_running_loop().time()
        with pytest.raises(Unclear) as caught:
            await submit(api)
        assert caught.value.cause.kind == "timeout"
        return asyncio.get_running_loop().time() - before

    assert asked(never, ask=timed)[0] == pytest.approx(module.SUBMIT, abs=2)


def test_an_endless_answer_is_unclear_and_takes_little_memory() -> None:
    async def endless(writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    tracemalloc.start()
    came, _ = asked(endless, ask=submit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(came, Unclear)
    assert "4,194,304 bytes" in str(came)
    assert peak < 24 * 2**20


def test_a_compressed_bomb_is_unclear_and_takes_little_memory() -> None:
    bomb = answer(gzip.compress(b" " * (256 * 2**20), 9), Content_Encoding="gzip")
    tracemalloc.start()
    came, _ = asked(bomb, ask=look)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(came, Unclear)
    assert peak < 64 * 2**20


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0),
        ("Mon, 21 Sep 2026 14:13:00 GMT", 0.0),
        ("soon", None),
        ("Mon, 21 Sep 2026 14:13:50 +99999999999999999999", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("ask", [submit, look, cancel])
def test_a_429_was_refused_and_says_when(
    ask: Callable[[Api], Awaitable[Any]], header: str | None, seconds: float | None
) -> None:
    slow_down = {"detail": "slow down"}
    refusal = answer(slow_down, 429) if header is None else answer(slow_down, 429, Retry_After=header)
    came, _ = asked(refusal, ask=ask, wall=1_790_000_000.0)
    assert isinstance(came, Refused)
    assert came.retry_after == seconds


def test_a_503_with_retry_after_was_refused_too() -> None:
    came, _ = asked(answer(b"<html>", 503, Retry_After="3"), ask=submit)
    assert isinstance(came, Refused)
    assert came.retry_after == 3.0


FINAL: list[tuple[bytes, type[Exception]]] = [
    (answer({"error_code": 400001, "error_message": "no such model"}), Rejected),
    (answer({"detail": [{"loc": ["body", "seed"], "msg": "not an integer"}]}, 422), Rejected),
    (answer({"error_code": 400004, "error_message": "bad token"}, 400), AccountError),
    (answer({}, 401), AccountError),
    (answer({"error_code": 400002, "error_message": "balance"}, 400), BalanceGone),
    (answer({}, 402), BalanceGone),
]


@pytest.mark.parametrize(("reply", "kind"), FINAL)
def test_a_readable_no_is_final(reply: bytes, kind: type[Exception]) -> None:
    assert type(asked(reply, ask=submit)[0]) is kind


def test_an_unknown_request_is_not_found() -> None:
    assert isinstance(asked(answer({"error_code": 404001}, 404), ask=look)[0], NotFound)


RESULTS: list[tuple[dict[str, Any], type[object]]] = [
    ({"status": "in_queue"}, Waiting),
    ({"status": "polishing"}, Waiting),
    ({"status": "completed", "output": ["https://a/b.png"]}, Succeeded),
    ({"status": "failed", "error": "no"}, FailedThere),
    ({"status": "canceled"}, CancelledThere),
]


@pytest.mark.parametrize(("body", "kind"), RESULTS)
def test_a_result_says_where_the_request_stands(body: dict[str, Any], kind: type[object]) -> None:
    assert type(asked(answer(body), ask=look)[0]) is kind


@settings(max_examples=60, deadline=None)
@given(
    junk=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda status, body, name, value: b"HTTP/1.1 %d x\r\n%s: %s\r\n\r\n%s" % (status, name, value, body),
            st.integers(0, 999),
            st.binary(max_size=60),
            st.sampled_from(
                [b"Retry-After", b"Content-Length", b"Content-Encoding", b"Transfer-Encoding", b"Set-Cookie"]
            ),
            st.one_of(st.sampled_from([b"gzip", b"chunked", b"-1", b"deflate"]), st.binary(max_size=20)),
        ),
    )
)
def test_no_bytes_of_a_service_make_anything_but_an_answer_or_a_known_exception(junk: bytes) -> None:
    for ask in (submit, look, cancel):
        came, _ = asked(junk, ask=ask)
        assert isinstance(came, (CallError, AccountError, CancelOutcome))
