"""What is noted of a submit that leaves is as near to its leaving as it can be: real sockets."""

import asyncio
import socket
import threading

import pytest

from batcher.client.api import Api
from batcher.core.errors import DiskError
from tests.support.rude_server import answer, serving

MODEL = "some/model"


def test_when_a_submit_is_noted_its_bytes_leave_before_anything_else_happens() -> None:
    """A kill between the two puts a job in doubt that never left: so no other turn of the loop is between."""
    arrived, seen = threading.Event(), []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            arrived.set()
            connection.sendall(answer({"request_id": "r-1"}))

    async def story() -> str:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving_thread = threading.Thread(target=serve, args=(listening,))
            serving_thread.start()
            async with Api(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "a-token") as api:

                def leaving() -> None:
                    asyncio.get_running_loop().call_soon(lambda: seen.append(arrived.wait(2.0)))

                accepted = await api.submit(MODEL, {"prompt": "kite"}, leaving)
            serving_thread.join()
            return accepted.request_id

    assert asyncio.run(story()) == "r-1"
    assert seen == [True]


def test_a_submit_that_could_not_be_noted_does_not_leave_and_the_disk_is_blamed() -> None:
    def full() -> None:
        raise DiskError("the disk is full")

    async def story() -> int:
        async with serving(answer({"request_id": "r-1"})) as rude, Api(rude.base_url, "a-token") as api:
            with pytest.raises(DiskError, match="the disk is full"):
                await api.submit(MODEL, {"prompt": "kite"}, full)
            await asyncio.sleep(0.05)
            return len(rude.seen)

    assert asyncio.run(story()) == 0
