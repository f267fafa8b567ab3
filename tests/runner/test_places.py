"""Places at the service: never more than there are, none lost, whoever gives up at whatever moment."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batcher.runner.places import Places

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.just(0)),
        st.tuples(st.sampled_from(["leave", "give up"]), st.integers(0, 9)),
        st.tuples(st.just("resize"), st.integers(0, 4)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=40,
)


class Room:
    """Tasks that want a place, hold it until they are told to leave, and may give up at any moment."""

    def __init__(self, size: int) -> None:
        self.places = Places(size)
        self.holders: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        self.inside = 0
        self.most = size  # places there ever were at once: who has one keeps it when there are fewer

    async def _hold(self, leave: asyncio.Event) -> None:
        await self.places.acquire()
        self.inside += 1
        try:
            await leave.wait()
        finally:
            self.inside -= 1
            self.places.release()

    async def step(self, name: str, number: int) -> None:
        if name == "come":
            leave = asyncio.Event()
            self.holders.append((asyncio.create_task(self._hold(leave)), leave))
        elif name == "resize":
            self.places.size = number
            self.most = max(self.most, number)
        elif name == "turn":
            await asyncio.sleep(0)
            assert self.inside <= self.most
        elif number < len(self.holders):
            task, leave = self.holders[number]
            leave.set() if name == "leave" else task.cancel()


@given(st.integers(0, 3), STEPS)
def test_places_are_never_lost_nor_given_twice_whoever_gives_up_when(
    size: int, steps: Sequence[tuple[str, int]]
) -> None:
    async def main() -> None:
        room = Room(size)
        for name, number in steps:
            await room.step(name, number)
        for task, leave in room.holders:
            leave.set()
            task.cancel()
        ended = await asyncio.gather(*(task for task, _ in room.holders), return_exceptions=True)
        assert all(error is None or isinstance(error, asyncio.CancelledError) for error in ended), ended
        room.places.size = 1
        await asyncio.wait_for(room.places.acquire(), 5)
        assert "1 of 1, 0 waiting" in repr(room.places)

    asyncio.run(main())
