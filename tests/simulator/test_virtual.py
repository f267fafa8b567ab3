import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.virtual import EPOCH, START, Hung, holding, run, virtual_wall


def test_sleeping_takes_no_time_and_moves_both_clocks() -> None:
    async def story() -> tuple[float, float, float]:
        wall = virtual_wall()
        before = wall()
        await asyncio.gather(*(asyncio.sleep(hours * 3600) for hours in range(10)))
        return before, wall(), asyncio.get_running_loop().time()

    assert run(story()) == (EPOCH, EPOCH + 32_400, START + 32_400)  # nine hours: in real time nobody would wait for it


def test_timers_fire_in_their_order() -> None:
    async def story() -> list[float]:
        order: list[float] = []

        async def note(pause: float) -> None:
            await asyncio.sleep(pause)
            order.append(pause)

        await asyncio.gather(*(note(pause) for pause in (3, 1, 2, 0.5)))
        return order

    assert run(story()) == [0.5, 1, 2, 3]


def test_time_stands_still_while_a_thread_works() -> None:
    async def story() -> float:
        before = asyncio.get_running_loop().time()
        sleeper = asyncio.ensure_future(asyncio.sleep(1000))
        with ThreadPoolExecutor(1) as threads:
            await asyncio.get_running_loop().run_in_executor(threads, time.sleep, 0.05)
        await asyncio.to_thread(time.sleep, 0.05)
        assert not sleeper.done()
        after = asyncio.get_running_loop().time()
        sleeper.cancel()
        return after - before

    assert run(story()) == 0


def test_time_stands_still_until_an_abandoned_thread_is_through() -> None:
    async def story() -> float:
        work = asyncio.ensure_future(asyncio.to_thread(time.sleep, 0.05))
        await asyncio.sleep(0)
        work.cancel()
        begun = time.monotonic()
        await asyncio.sleep(1000)
        return time.monotonic() - begun

    assert run(story()) > 0.03


def test_announced_work_holds_time() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        before = loop.time()
        with holding(), ThreadPoolExecutor(1) as threads:
            sleeper = asyncio.ensure_future(asyncio.sleep(1000))
            threads.submit(time.sleep, 0.05).add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
            await done.wait()
        sleeper.cancel()
        return loop.time() - before

    assert run(story()) == 0


def test_a_program_that_waits_for_nothing_is_told_so_with_its_tasks() -> None:
    async def wait_for_godot() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Hung, match="wait_for_godot"):
        run(wait_for_godot())


def test_a_timeout_is_virtual_too() -> None:
    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(86_400):
                await asyncio.Event().wait()

    run(story())
