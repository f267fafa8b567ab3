"""A semaphore whose size can be changed while it is in use."""

import asyncio
from collections import deque


class Places:
    """``size`` tasks may hold a place at once; the others wait."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Places {self._taken} of {self._size}, {len(self._waiting)} waiting>"

    @property
    def size(self) -> int:
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        """The size. A smaller one takes effect as places are released."""
        self._size = size
        self._let_in()

    @property
    def is_crowded(self) -> bool:
        """Whether a task is waiting for a place."""
        return bool(self._waiting)

    async def acquire(self) -> None:
        """Wait for a place; first come, first served."""
        if self._taken < self._size and not self._waiting:
            self._taken += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled():  # it got the place in the same turn of the loop
                self.release()
            raise

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        self._taken -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._taken < self._size:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
