"""Which endpoint is asked: one call a look where the service allows it."""

import asyncio
from typing import Any

import pytest

from batcher.client.api import Api
from batcher.core.errors import NotFound, Rejected
from batcher.core.job import Succeeded, Waiting
from batcher.simulator import Latency, Profile, Simulator, serve
from tests.client.test_api_outcomes import MODEL, TOKEN, asked
from tests.support import virtual
from tests.support.rude_server import DONE, WAITING, answer, serving

ENDED = answer({"request_id": "r-1", "status": "completed"})
NOT_READY = answer({"detail": "the result is not ready"}, 400)


async def looks(api: Api, count: int) -> list[Any]:
    return [await api.poll("r-1") for _ in range(count)]


def endpoints(rude: Any) -> list[str]:
    return [seen.target.split("/")[-1].split("?")[0] for seen in rude.seen]


def test_where_the_result_says_the_state_nothing_else_is_asked() -> None:
    came, rude = asked(WAITING, WAITING, DONE, ask=lambda api: looks(api, 3))
    assert [type(one) for one in came] == [Waiting, Waiting, Succeeded]
    assert endpoints(rude) == ["result"] * 3


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_where_the_result_of_an_unfinished_job_is_an_error_the_status_is_asked_first(status: int) -> None:
    not_ready = answer({"detail": "not ready"}, status)
    came, rude = asked(not_ready, WAITING, WAITING, ENDED, DONE, ask=lambda api: looks(api, 3))
    assert [type(one) for one in came] == [Waiting, Waiting, Succeeded]
    assert endpoints(rude) == ["result", "status", "status", "status", "result"]


def test_a_completed_status_with_a_result_still_in_progress_is_waiting() -> None:
    came, rude = asked(NOT_READY, WAITING, ENDED, WAITING, WAITING, DONE, ask=lambda api: looks(api, 4))
    assert [type(one) for one in came] == [Waiting, Waiting, Waiting, Succeeded]
    # once the result was seen to answer for an unfinished job, it is asked alone again
    assert endpoints(rude) == ["result", "status", "status", "result", "result", "result"]


def test_an_error_of_a_result_that_used_to_answer_is_one_when_the_status_agrees() -> None:
    async def story(api: Api) -> None:
        assert isinstance(await api.poll("r-1"), Waiting)
        with pytest.raises(Rejected):
            await api.poll("r-1")

    _, rude = asked(WAITING, NOT_READY, ask=story)
    assert endpoints(rude) == ["result", "result", "status"]


def test_not_ready_is_waiting_even_when_the_status_says_completed() -> None:
    too_early = answer({"error_code": 400005, "error_message": "not ready"}, 400)
    came, _ = asked(WAITING, too_early, ENDED, DONE, ask=lambda api: looks(api, 3))
    assert [type(one) for one in came] == [Waiting, Waiting, Succeeded]


def test_files_under_an_unknown_word_are_asked_for_twice_more_then_taken() -> None:
    odd = answer({"request_id": "r-1", "status": "hibernating", "output": {"image": "https://x.runcomfy.net/a.png"}})
    came, _ = asked(odd, ask=lambda api: looks(api, 3))
    assert [type(one) for one in came] == [Waiting, Waiting, Succeeded]


def test_a_request_nobody_knows_is_not_found_at_either_endpoint() -> None:
    came, rude = asked(answer({"error_code": 404001}, 404), ask=lambda api: looks(api, 1))
    assert isinstance(came, NotFound)
    assert endpoints(rude) == ["result", "status"]


@pytest.mark.parametrize("unfinished", [None, 400, 404])
def test_against_the_simulator_a_job_is_followed_to_its_image(unfinished: int | None) -> None:
    async def story() -> tuple[list[Any], dict[str, Any]]:
        profile = Profile(latency=Latency(kind="fixed", median=2.5), unfinished_result=unfinished)
        simulator = Simulator(profile)
        async with serve(simulator) as address, Api(address.base_url, TOKEN) as api:
            accepted = await api.submit(MODEL, {"prompt": "a heron"})
            answers: list[Any] = []
            while not answers or isinstance(answers[-1], Waiting):
                answers.append(await api.poll(accepted.request_id))
                await asyncio.sleep(1)
            assert api.simulated
            return answers, simulator.stats()

    answers, stats = virtual.run(story())
    assert [type(one) for one in answers] == [Waiting, Waiting, Waiting, Succeeded]
    assert answers[-1].cost_usd == 0.02
    assert stats["submits_accepted"] == 1


def test_what_is_not_the_simulator_is_not_taken_for_it() -> None:
    async def story() -> bool | None:
        async with serving(DONE) as rude, Api(rude.base_url, TOKEN) as api:
            assert api.simulated is None
            await api.poll("r-1")
            return api.simulated

    assert virtual.run(story()) is False
