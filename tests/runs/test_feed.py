"""Where jobs come from: whatever kills and edits lie between, each is given to be told, and to one teller at a time."""

import asyncio
from collections import Counter
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.job import Entry, State
from batcher.manifest import Manifest, Overrides, open_manifest
from batcher.runner import feed
from batcher.runner.feed import Feed, Numbers
from batcher.runner.stop import Reason
from batcher.simulator import Latency, Simulator
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, reading
from tests.manifest.manifest_reading import IMAGEN, write
from tests.runs.stage import Came, Going, go, lines, steady
from tests.virtual import run

PROMPTS = st.lists(st.sampled_from(["heron", "kite", "gull", "lake", "dune"]), min_size=1, max_size=20)


def _checked(path: str, **flags: Any) -> Manifest:
    return open_manifest(path, Overrides(**flags)).check(IMAGEN)


@given(prompts=PROMPTS, swept=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_after_any_kills_each_job_is_given_once_to_be_done_and_is_what_a_whole_walk_makes_it(
    prompts: list[str], swept: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("feed")
    path = write(folder, "".join(f"{prompt}\n" for prompt in prompts), "p.txt")
    manifest = _checked(path, matrix=("seed=1..3",) if swept else ())
    done: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "CHUNK", data.draw(st.integers(1, 7), "chunk"))
        for _ in range(4):
            groups = data.draw(st.integers(0, 6), "groups till the kill")
            given_ = asyncio.run(fed(folder, manifest, groups))
            assert len({entry.id for entry in given_}) == len(given_), "no job has two tellers"
            kept = data.draw(st.sets(st.sampled_from(range(40))), "done before the kill")
            finished = [entry for at, entry in enumerate(given_) if entry.state is State.PENDING and at in kept]
            done.update(entry.job.key for entry in finished)
            closed(folder, finished)
        last = asyncio.run(fed(folder, manifest, 10**6))
    done.update(entry.job.key for entry in last if entry.state is State.PENDING)
    jobs = list(manifest.jobs())
    assert done == Counter(job.key for job in jobs)
    listed = {entry.job.key: (entry.job.copy, entry.path, entry.job.line) for entry in every(folder)}
    assert listed == {job.key: (job.copy, job.path, job.line) for job in jobs}


async def fed(folder: Path, manifest: Manifest, groups: int) -> list[Entry]:
    """What a process is given till it is killed, pending jobs once, as a run takes them."""
    state = StateFile(folder / STATE)
    reader = connect_to_read(folder)
    told, found = Numbers(), []
    try:
        async with CommitQueue(state) as queue, aclosing(Feed(manifest, queue, reader).entries()) as given_:
            while groups and (group := await anext(given_, None)) is not None:
                groups -= 1
                found += [entry for entry in group if entry.state is not State.PENDING or told.add(entry.id)]
    finally:
        reader.close()
        state.close()
    return found


def closed(folder: Path, entries: list[Entry]) -> None:
    """To rest, by the shortest way there is."""
    state = StateFile(folder / STATE)
    state.must_commit([partial(state.cancel, entry, 0.0) for entry in entries])
    state.close()


def every(folder: Path) -> list[Entry]:
    reader = connect_to_read(folder)
    try:
        return list(reading.entries(reader, list(State)))
    finally:
        reader.close()


def test_a_resume_of_the_same_manifest_reads_no_job_that_was_written_down(tmp_path: Path) -> None:
    manifest = _checked(write(tmp_path, lines(50), "p.txt"))
    first = asyncio.run(fed(tmp_path, manifest, 1))
    assert len(first) == 50
    closed(tmp_path, first)
    assert asyncio.run(fed(tmp_path, manifest, 10**6)) == []


def test_what_was_reopened_comes_first_and_what_left_the_manifest_not_at_all(tmp_path: Path) -> None:
    manifest = _checked(write(tmp_path, lines(300), "p.txt"))
    first = asyncio.run(fed(tmp_path, manifest, 1))
    assert len(first) == feed.CHUNK
    closed(tmp_path, first)
    cancelled = [entry for entry in every(tmp_path) if entry.state is State.CANCELLED]
    state = StateFile(tmp_path / STATE)
    state.must_commit([partial(state.reopen, cancelled[9]), partial(state.reopen, cancelled[3])])
    state.must_commit([partial(state.unlist, [cancelled[9].id])])
    state.close()
    again = asyncio.run(fed(tmp_path, manifest, 10**6))
    assert [entry.id for entry in again] == [cancelled[3].id, *range(feed.CHUNK + 1, 301)]


def test_another_manifest_and_a_limit_are_walked_from_the_first_job(tmp_path: Path) -> None:
    path = write(tmp_path, lines(5), "p.txt")
    first = asyncio.run(fed(tmp_path, _checked(path), 10))
    limited = asyncio.run(fed(tmp_path, _checked(path, limit=2), 10))
    assert [entry.id for entry in limited] == [first[0].id, first[1].id]
    assert len(asyncio.run(fed(tmp_path, _checked(path), 10))) == 5, "a limit leaves the cursor where it was"
    write(tmp_path, "another\n" + lines(5), "p.txt")
    assert len(asyncio.run(fed(tmp_path, _checked(path), 10))) == 6


def test_a_run_that_is_stopped_over_and_over_pays_for_each_job_once(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,seed\n" + "".join(f"kite {n % 40},{n % 3}\n" for n in range(700)))  # many are copies
    simulator = Simulator(steady(latency=Latency(kind="fixed", median=2.0)))

    async def whole() -> tuple[Came, dict[str, Any]]:
        for seconds in (0.5, 3.0, 4.0, 3.0):

            async def stop(going: Going, seconds: float = seconds) -> None:
                await asyncio.sleep(seconds)
                going.tools.stop.request(Reason.INTERRUPTED)

            await go(tmp_path / "run", path, simulator, rate=60.0, meanwhile=stop)
        return await go(tmp_path / "run", path, simulator, rate=60.0), simulator.stats()

    came, stats = run(whole())
    assert came.report["done"] == came.report["submits_total"] == stats["submits_accepted"] == 700


@given(st.lists(st.integers(1, 5000)))
def test_numbers_are_new_once(numbers: list[int]) -> None:
    kept, known = Numbers(), set[int]()
    for number in numbers:
        assert kept.add(number) is (number not in known)
        known.add(number)
