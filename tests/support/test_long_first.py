"""The order that the workers of the suite get its tests in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.support.long_first import long_first


@dataclass(frozen=True)
class Item:
    """As much of a test as the order is made from."""

    number: int
    slow: bool

    @property
    def path(self) -> Path:
        return Path(f"test_{self.number // 10}.py")

    def get_closest_marker(self, _: str) -> bool | None:
        return self.slow or None


def test_each_worker_begins_with_its_share_of_the_slow_tests_and_none_is_lost() -> None:
    items = [Item(number, slow=number < 20) for number in range(102)]
    ordered: list[Any] = long_first(cast("Any", items), 4)
    assert sorted(item.number for item in ordered) == list(range(102))
    begins = [0, 25, 50, 76]  # as xdist cuts 102 into four
    for begin, end in zip(begins, [*begins[1:], 102], strict=True):
        block = ordered[begin:end]
        assert [item.slow for item in block] == [True] * 5 + [False] * (len(block) - 5)
