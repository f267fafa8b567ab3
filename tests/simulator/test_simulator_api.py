"""The protocol as documented, and its oddities, over real HTTP in virtual time."""

import asyncio
from typing import Any

import pytest

from tests.simulator.bare_client import IMAGEN, TOKEN, service
from tests.support.virtual import run

BANANA = "google/nano-banana-2/text-to-image"
SEEDREAM = "bytedance/seedream-5.0-pro/image-to-image"


def test_a_job_goes_through_the_documented_states() -> None:
    async def story() -> None:
        async with service(latency=10, queue=5) as client:
            status, body, _ = await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "a heron"})
            assert status == 200
            root = f"{client.address.base_url}/requests/{body['request_id']}"
            assert body == {
                "request_id": body["request_id"],
                "status_url": f"{root}/status",
                "result_url": f"{root}/result",
                "cancel_url": f"{root}/cancel",
            }
            queued = await client.status(body["request_id"])
            assert (queued["status"], queued["queue_position"]) == ("in_queue", 0)
            assert await client.result(body["request_id"]) == {"request_id": body["request_id"], "status": "in_queue"}
            await asyncio.sleep(6)
            running = await client.status(body["request_id"])
            assert running["status"] == "in_progress"
            assert "queue_position" not in running
            await asyncio.sleep(10)
            assert (await client.status(body["request_id"]))["status"] == "completed"
            result = await client.result(body["request_id"])
            assert result["status"] == "succeeded"
            assert result["cost"] == 0.02
            assert result["created_at"] == "2026-09-21T14:13:20.000Z"
            assert result["finished_at"] == "2026-09-21T14:13:35.000Z"
            assert set(result) == {"request_id", "status", "output", "created_at", "finished_at", "cost"}

    run(story())


def test_cost_comes_only_when_asked_for_and_may_come_late() -> None:
    async def story() -> None:
        async with service(latency=0, cost_late=2) as client:
            request_id = await client.submit()
            assert "cost" not in await client.result(request_id, "")
            assert "cost" not in await client.result(request_id)
            assert (await client.result(request_id))["cost"] == 0.02
            assert "cost" not in await client.result(request_id, "")

    run(story())


def test_jobs_wait_in_line_for_slots_and_their_position_counts_down() -> None:
    async def story() -> list[list[int | None]]:
        async with service(latency=10, slots=2) as client:
            ids = [await client.submit(seed=n) for n in range(5)]
            seen = []
            for _ in range(3):
                seen.append([(await client.status(request_id)).get("queue_position") for request_id in ids])
                await asyncio.sleep(10)
            assert client.stats()["peak_running"] == 2
            return seen

    assert run(story()) == [[None, None, 0, 1, 2], [None, None, None, None, 0], [None] * 5]


def test_only_queued_jobs_can_be_cancelled_and_those_cost_nothing() -> None:
    async def story() -> None:
        async with service(latency=10, slots=1) as client:
            first, second = await client.submit(seed=1), await client.submit(seed=2)
            answers = [await client.call("POST", f"/v1/requests/{r}/cancel") for r in (first, second, second)]
            assert [status for status, _, _ in answers] == [202] * 3
            assert [body["outcome"] for _, body, _ in answers] == ["not_cancellable", "cancelled", "cancelled"]
            assert [body["status"] for _, body, _ in answers] == ["in_progress", "cancelled", "cancelled"]
            await asyncio.sleep(30)
            assert (await client.status(second))["status"] == "cancelled"
            assert (await client.result(second))["status"] == "cancelled"
            assert (await client.result(first))["status"] == "succeeded"
            stats = client.stats()
            assert (stats["charged"], stats["cancelled"], stats["finished"]) == (1, 1, 1)

    run(story())


def test_several_images_a_job_come_as_several_files_and_are_all_charged() -> None:
    async def story() -> None:
        async with service(latency=0) as client:
            result = await client.result(await client.submit(model=BANANA, num_images=3, output_format="webp"))
            urls = result["output"]["images"]
            assert len({(await client.file(url))[1] for url in urls}) == 3
            assert all(url.endswith("_output.webp") for url in urls)
            assert result["cost"] == pytest.approx(0.06)

    run(story())


@pytest.mark.parametrize("shape", ["image", "images", "both", "string", "list", "empty"])
def test_output_takes_every_shape(shape: str) -> None:
    async def story() -> Any:
        async with service(latency=0, output_shape=shape) as client:
            return (await client.result(await client.submit()))["output"]

    output = run(story())
    url = next(iter(_strings(output)), "")
    expected: dict[str, Any] = {
        "image": {"image": url},
        "images": {"images": [url]},
        "both": {"image": url, "images": [url]},
        "string": url,
        "list": [url],
        "empty": {},
    }
    assert output == expected[shape]
    assert bool(url) == (shape != "empty")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [text for item in items for text in _strings(item)]


def test_words_can_be_changed_and_results_can_echo_the_inputs() -> None:
    async def story() -> None:
        words: dict[str, Any] = {"queued_word": "waiting", "running_word": "processing", "success_word": "completed"}
        async with service(latency=5, slots=1, echo=True, **words) as client:
            first, second = await client.submit(seed=1), await client.submit(seed=2)
            assert (await client.result(second))["status"] == "waiting"
            assert (await client.result(first))["status"] == "processing"
            await asyncio.sleep(6)
            result = await client.result(first)
            assert result["status"] == "completed"
            assert result["input"] == {"prompt": "a heron", "seed": 1}
            assert result["result_url"].startswith(client.address.base_url)

    run(story())


def test_oddities_of_reading_can_be_switched_on() -> None:
    async def story() -> None:
        async with service(latency=5, fresh_404=1, lagging_result=1, unfinished_result=409) as client:
            request_id = await client.submit()
            path = f"/v1/requests/{request_id}"
            assert (await client.call("GET", f"{path}/result"))[0] == 404
            assert (await client.call("GET", f"{path}/result"))[0] == 409
            assert (await client.call("GET", f"{path}/status"))[0] == 200
            await asyncio.sleep(6)
            assert (await client.status(request_id))["status"] == "completed"
            assert (await client.result(request_id))["status"] == "in_progress"
            assert (await client.result(request_id))["status"] == "succeeded"

    run(story())


def test_it_counts_what_it_was_asked_per_distinct_input() -> None:
    async def story() -> dict[str, Any]:
        async with service(latency=0) as client:
            for prompt in ("a", "b", "b", "c", "c", "c"):
                await client.submit(prompt)
            _, shown, _ = await client.call("GET", "/_simulator/stats", headers={})
            assert shown == client.stats()
            _, lines, _ = await client.call("GET", "/_simulator/requests", headers={})
            assert lines.count(b"\n") == 6
            return client.stats()

    stats = run(story())
    assert stats["submits_per_input"] == {"distinct": 3, "max": 3, "histogram": {"1": 1, "2": 1, "3": 1}}
    assert stats["charges_per_input"] == stats["submits_per_input"]
    assert stats["charged_usd"] == pytest.approx(0.12)
    assert stats["calls"] == {"submit": 6}


def test_behaviour_can_be_changed_while_it_runs() -> None:
    async def story() -> None:
        async with service() as client:
            assert (await client.call("POST", "/_simulator/profile", json={"faults": ["submit:503"]}))[0] == 200
            assert (await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "a"}))[0] == 503
            assert (await client.call("POST", "/_simulator/profile", json={"faults": []}))[0] == 200
            await client.submit()
            status, body, _ = await client.call("POST", "/_simulator/profile", json={"slotz": 1})
            assert (status, "did you mean 'slots'" in body["detail"]) == (422, True)
            assert (await client.call("POST", "/_simulator/profile", data=b"nonsense"))[0] == 422

    run(story())


def test_ids_are_the_same_in_every_run_and_never_twice_in_one() -> None:
    async def story() -> list[str]:
        async with service() as client:
            return [await client.submit(prompt) for prompt in "aabca"]

    first = run(story())
    assert len(set(first)) == 5
    assert run(story()) == first


def test_a_job_takes_as_long_however_often_and_in_which_order_it_is_asked_about() -> None:
    async def story(prompts: str, every: float) -> dict[str, float]:
        async with service(latency={"kind": "lognormal", "median": 30}) as client:
            ids = {prompt: await client.submit(prompt) for prompt in prompts}
            for _ in range(round(400 / every)):
                await asyncio.sleep(every)
                await asyncio.gather(*(client.result(request_id) for request_id in ids.values()))
            assert client.stats()["finished"] == len(prompts)
            return {line["inputs"]["prompt"]: line["finished_at"] for line in client.simulator.listing()}

    assert run(story("abcdef", 1)) == pytest.approx(run(story("fedcba", 7)))


def test_a_client_that_calls_it_by_another_name_gets_links_by_that_name() -> None:
    async def story() -> str:
        async with service(latency=0) as client:
            url = f"http://localhost:{client.address.port}/v1/models/{IMAGEN}"
            _, body, _ = await client.call("POST", url, json={"prompt": "a"}, headers={"Authorization": TOKEN})
            return str(body["status_url"])

    assert run(story()).startswith("http://localhost:")
