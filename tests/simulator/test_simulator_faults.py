"""Every way to go wrong, seen from the other side of a socket."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from yarl import URL

from batcher.simulator.faults import ERRORS, OUTCOMES
from tests.simulator.bare_client import IMAGEN, TOKEN, Client, service
from tests.support.virtual import EPOCH, run

SUBMIT = f"/v1/models/{IMAGEN}"


async def submit(client: Client) -> tuple[int, Any, Any]:
    return await client.call("POST", SUBMIT, json={"prompt": "a heron"})


def submit_with(fault: str | dict[str, Any]) -> tuple[int, Any, dict[str, str], dict[str, Any]]:
    async def story() -> tuple[int, Any, dict[str, str], dict[str, Any]]:
        async with service(faults=[fault]) as client:
            status, body, headers = await submit(client)
            return status, body, dict(headers), client.stats()

    return run(story())


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_an_error_on_submit_has_its_status_and_makes_no_job(kind: str) -> None:
    status, body, headers, stats = submit_with(f"submit:{kind}")
    assert status == int(kind[:3]) if kind[:3].isdigit() else 400
    assert (stats["submits_received"], stats["submits_accepted"]) == (1, 0)
    assert stats["faults"] == {f"submit:{kind}": 1}
    if kind in {"400001", "400002", "400004", "403001", "404001"}:
        assert body["error_code"] == int(kind)
    elif kind.endswith("_html"):
        assert body.startswith(b"<!DOCTYPE html>")
    elif kind.endswith("_empty"):
        assert body == b""
    elif kind.endswith("_seconds"):
        assert headers["Retry-After"] == "1"
    elif kind == "429_date":
        assert parsedate_to_datetime(headers["Retry-After"]).timestamp() == EPOCH + 1
    elif kind == "422":
        assert isinstance(body["detail"], list)
    elif kind == "200_error":
        assert "error_code" in body
        assert "request_id" not in body
    elif kind == "escape":
        assert "\x1b" in body["error_message"]
    elif kind == "reflect_token":
        assert TOKEN in body["message"]
    else:
        assert body["message"]


@pytest.mark.parametrize("kind", ["500", "504_html"])
def test_an_error_can_be_told_to_make_the_job_all_the_same(kind: str) -> None:
    status, _, _, stats = submit_with({"where": "submit", "kind": kind, "created": True})
    assert (status, stats["submits_accepted"]) == (int(kind[:3]), 1)


@pytest.mark.parametrize(("kind", "accepted"), [("drop", 0), ("drop_after", 1)])
def test_a_dropped_submit_made_a_job_or_not_and_the_client_cannot_tell(kind: str, accepted: int) -> None:
    async def story() -> None:
        async with service(faults=[f"submit:{kind}"]) as client:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await submit(client)
            assert client.stats()["submits_accepted"] == accepted

    run(story())


def test_a_body_cut_short_is_noticed_and_its_job_exists() -> None:
    async def story() -> None:
        async with service(faults=["submit:cut"]) as client:
            with pytest.raises(aiohttp.ClientPayloadError):
                await submit(client)
            assert client.stats()["submits_accepted"] == 1

    run(story())


def test_a_slow_answer_comes_late_and_right() -> None:
    async def story() -> None:
        async with service(faults=[{"where": "submit", "kind": "slow", "seconds": 40}]) as client:
            before = asyncio.get_running_loop().time()
            status, body, _ = await submit(client)
            assert (status, "request_id" in body) == (200, True)
            assert asyncio.get_running_loop().time() - before == pytest.approx(40)

    run(story())


@pytest.mark.parametrize(("kind", "start"), [("html_200", b"<!DOCTYPE html>"), ("empty_200", b"")])
def test_a_200_without_json_hides_that_the_job_exists(kind: str, start: bytes) -> None:
    status, body, _, stats = submit_with(f"submit:{kind}")
    assert (status, stats["submits_accepted"]) == (200, 1)
    assert body.startswith(start)


def test_a_redirect_leads_to_another_name_of_the_same_server_which_counts_leaks() -> None:
    async def story() -> None:
        async with service(faults=["submit:redirect"]) as client:
            status, _, headers = await submit(client)
            assert status == 307
            assert headers["Location"] == f"http://localhost:{client.address.port}/untrusted{SUBMIT}"
            await client.call("POST", headers["Location"], headers={"Authorization": TOKEN})
            stats = client.stats()
            assert (stats["strays"], stats["token_leaks"], stats["submits_accepted"]) == (1, 1, 0)

    run(story())


def test_a_huge_body_is_as_long_as_told_and_an_endless_one_has_no_end() -> None:
    async def story() -> None:
        faults = [{"where": "status", "kind": "huge", "size": 3_000_000}, "result:endless"]
        async with service(faults=faults) as client:
            request_id = await client.submit()
            url = f"{client.address.base_url}/requests/{request_id}"
            headers = {"Authorization": TOKEN}
            async with client.session.get(f"{url}/status", headers=headers) as answer:
                assert len(await answer.read()) == 3_000_000
            async with client.session.get(f"{url}/result", headers=headers) as answer:
                assert len(await answer.content.readexactly(2_000_000)) == 2_000_000

    run(story())


def test_an_unknown_word_can_stand_for_the_status() -> None:
    async def story() -> None:
        async with service(faults=["result:unknown_word"]) as client:
            assert (await client.result(await client.submit()))["status"] == "hibernating"

    run(story())


@pytest.mark.parametrize("where", ["status", "result", "cancel", "catalog"])
@pytest.mark.parametrize("kind", ["502_html", "drop"])
def test_every_place_can_go_wrong(where: str, kind: str) -> None:
    async def story() -> None:
        async with service(faults=[f"{where}:{kind}"]) as client:
            path = f"/v1/requests/{await client.submit()}/{where}" if where != "catalog" else "/v1/models"
            method = "POST" if where == "cancel" else "GET"
            if kind == "drop":
                with pytest.raises(aiohttp.ServerDisconnectedError):
                    await client.call(method, path)
            else:
                assert (await client.call(method, path))[0] == 502

    run(story())


def result_of(outcome: str, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    async def story() -> tuple[dict[str, Any], dict[str, Any]]:
        async with service(latency=0, faults=[f"result:{outcome}"], **settings) as client:
            request_id = await client.submit()
            assert (await client.status(request_id))["status"] in {"completed", outcome}
            assert await client.result(request_id) == await client.result(request_id)
            return await client.result(request_id), client.stats()

    return run(story())


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_a_job_can_end_in_every_bad_way(outcome: str) -> None:
    result, stats = result_of(outcome)
    if outcome.startswith("failed") or outcome == "content_policy":
        assert result["status"] == "failed"
        assert "output" not in result
        assert (stats["failed"], stats["charged"]) == (1, 0)
    elif outcome.startswith("cancel"):
        assert result["status"] == outcome
        assert stats["charged"] == 0
    else:
        assert result["status"] == "succeeded"
        assert stats["charged"] == 1
    errors = {"failed": str, "failed_object": dict, "content_policy": str}
    assert type(result.get("error")) is errors.get(outcome, type(None))


def test_failed_jobs_are_charged_when_the_service_does_that() -> None:
    result, stats = result_of("failed", charge_failed=True)
    assert (result["cost"], stats["charged"]) == (0.02, 1)


@pytest.mark.parametrize("outcome", sorted(kind for kind in OUTCOMES if kind.startswith("url_")))
def test_a_hostile_link_does_not_lead_to_the_trusted_host(outcome: str) -> None:
    url = result_of(outcome)[0]["output"]["image"]
    try:
        parsed = URL(url)
    except ValueError:
        assert outcome == "url_backslash"
        return
    assert parsed.scheme in {"data", "file"} or parsed.host != "127.0.0.1"


def test_a_failed_job_may_go_well_when_it_is_submitted_again() -> None:
    async def story() -> None:
        fault = {"where": "result", "kind": "failed", "first": 1}
        async with service(latency=0, faults=[fault]) as client:
            assert (await client.result(await client.submit()))["status"] == "failed"
            assert (await client.result(await client.submit()))["status"] == "succeeded"

    run(story())
