"""The order of the tests for ``--dist worksteal``: each worker begins with its share of the slow ones.

xdist cuts the list into one block for each worker. A worker that has finished its block takes tests from the end of
another block. In the order of the files one worker would have all of `runs` and finish long after the others.
"""

from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import pytest


def long_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """All items, for so many workers. A file with a fixture that its tests share stays in one piece where it can."""
    together = {item.path for item in items if _shares(item)}
    units: defaultdict[Path | pytest.Item, list[pytest.Item]] = defaultdict(list)
    for item in items:
        units[item.path if item.path in together else item].append(item)
    slow = Counter({unit: sum(item.get_closest_marker("slow") is not None for item in units[unit]) for unit in units})
    fronts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for unit, count in slow.most_common():
        if count:
            least = loads.index(min(loads))
            fronts[least] += units[unit]
            loads[least] += count
    quick = (item for unit, count in slow.items() if not count for item in units[unit])
    ordered: list[pytest.Item] = []
    for number, front in enumerate(fronts):
        block = (len(items) - len(ordered)) // (workers - number)
        ordered += [*front, *islice(quick, max(0, block - len(front)))]
    return ordered


def _shares(item: pytest.Item) -> bool:
    """Whether it uses what a module or a folder of tests makes once."""
    definitions = getattr(item, "_fixtureinfo", None)
    return definitions is not None and any(
        fixture.scope != "function" and fixture.baseid.startswith("tests")
        for fixtures in definitions.name2fixturedefs.values()
        for fixture in fixtures
    )
