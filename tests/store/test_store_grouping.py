"""Texts by key, through a file."""

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import DiskError
from batcher.store.grouping import Grouped


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "\ud800", ""]), st.text(alphabet="xyz", max_size=3))),
    st.integers(0, 5),
)
def test_texts_come_back_by_key_in_the_order_they_came(pairs: list[tuple[str, str]], first: int) -> None:
    expected: dict[str, list[str]] = {}
    with closing(Grouped()) as grouped:
        for key, text in pairs:
            grouped.add(key, text)
            expected.setdefault(key, []).append(text)
        assert len(grouped) == len(expected)
        assert list(grouped.groups()) == list(expected.values())
        assert grouped.texts(first) == sum(map(len, list(expected.values())[:first]))


def test_no_room_for_it_is_an_error_of_the_disk() -> None:
    with closing(Grouped()) as grouped:
        grouped._rows.execute("PRAGMA max_page_count = 10")
        with pytest.raises(DiskError, match="temporary files can't be written"):
            grouped.add("a", "x" * 100_000)
