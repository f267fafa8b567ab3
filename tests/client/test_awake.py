"""Time-outs of calls while the process was stopped, and connections that died meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batcher.client.api import Api
from batcher.client.awake import TICK, AwakeTimeouts
from tests.client.test_api_outcomes import MODEL, TOKEN
from tests.support import virtual
from tests.support.rude_server import ACCEPTED


def test_a_block_that_takes_too_long_times_out_to_the_tick() -> None:
    async def story() -> float:
        timeouts, began = AwakeTimeouts(), asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with timeouts.within(10.0):
                await asyncio.sleep(60.0)
        timeouts.close()
        return asyncio.get_running_loop().time() - began

    assert virtual.run(story()) == pytest.approx(10.0 + TICK / 2, abs=TICK)


def test_a_block_in_time_is_left_alone() -> None:
    async def story() -> str:
        timeouts = AwakeTimeouts()
        async with timeouts.within(10.0):
            await asyncio.sleep(9.0)
        timeouts.close()
        return "done"

    assert virtual.run(story()) == "done"


STOPPED = """
import asyncio, sys
from batcher.client import api as module
module.SUBMIT = 1.5
async def story():
    async with module.Api(sys.argv[1], "token-of-the-test") as api:
        print("ready", flush=True)
        print((await api.submit("a/b", {"prompt": "x"})).request_id, flush=True)
asyncio.run(story())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_an_answer_that_came_while_the_process_was_stopped_is_read() -> None:
    async def story() -> str:
        asked = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await asyncio.sleep(0.6)  # by now the client is stopped
            writer.write(ACCEPTED)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        root = Path(__file__).parents[2]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STOPPED, f"http://127.0.0.1:{port}/v1",
            stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
        await asked.wait()
        child.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3.0)
        child.send_signal(signal.SIGCONT)
        out, _ = await child.communicate()
        server.close()
        return out.decode().split()[-1]

    assert asyncio.run(story()) == "r-1"


def test_a_connection_that_the_service_closed_while_nothing_was_sent_costs_no_doubt() -> None:
    async def story() -> int:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"request_id": "r-%d"}' % connections)
            await writer.drain()
            writer.close()  # without "Connection: close": the client keeps it

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Api(f"http://127.0.0.1:{port}/v1", TOKEN) as api:
            await api.submit(MODEL, {"prompt": "a"})
            time.sleep(0.7)  # noqa: ASYNC251  the process stands still: the loop has not seen the end of the connection
            await api.submit(MODEL, {"prompt": "b"})
        return connections

    assert asyncio.run(story()) == 2
