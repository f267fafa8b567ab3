"""``control.json`` is checked before a run obeys it, and what the run recorded of it can always be read again."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batcher.core.control import Control, Obeyed
from batcher.core.errors import UsageError
from batcher.runner.control import CONTROL, read_control, write_control
from batcher.store.facts import RunFacts

ODD: dict[str, list[Any]] = {
    "rate": ["fast", True, 0, -1, float("inf"), float("nan"), 10**400],
    "in_flight": [1.5, True, 0, "8"],
    "downloads": [-1, [2]],
    "budget": ["$5", -0.01],
    "deadline": ["07:00", float("-inf")],
    "paused": ["yes", 1, None],
    "drain": ["no"],
    "at": [None, "now"],
    "reason": [5, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_an_odd_value_is_refused_with_its_name_and_the_way_out(tmp_path: Path, name: str, value: Any) -> None:
    (tmp_path / CONTROL).write_text(json.dumps({name: value}))
    with pytest.raises(UsageError, match=re.escape(name)) as refused:
        read_control(tmp_path)
    assert "batcher tune" in refused.value.hint


@pytest.mark.parametrize("text", ["[]", "5", "{", "null", ""])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONTROL).write_text(text)
    with pytest.raises(UsageError, match="can't be used"):
        read_control(tmp_path)


def test_what_was_obeyed_is_recorded_as_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / CONTROL).write_text('{"rate": 5, "budget": 10, "in_flight": 8, "reason": "a\\nb", "of_later": 1}')
    control = read_control(tmp_path)
    assert control == Control(rate=5.0, budget=10.0, in_flight=8, reason="a b")
    write_control(tmp_path, control)
    assert read_control(tmp_path) == control
    obeyed = Obeyed(**asdict(control), obeyed_at="2026-11-22T03:00:00.000Z")
    recorded = json.loads(json.dumps(msgspec.to_builtins(obeyed)))
    assert list(recorded) == [*Control.__slots__, "obeyed_at"]
    assert msgspec.convert({"control": recorded}, RunFacts).control == obeyed
