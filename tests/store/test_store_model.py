"""Random walks: whatever the sequence of moves, the state file says what a dictionary would."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from batcher.core.errors import Cause, Defect
from batcher.core.job import Entry, State
from batcher.core.lifecycle import MOVES, Event
from batcher.store import STATE, StateFile, reading
from tests.support.state_files import CAUSE, NOW, a_job, a_picture, with_sidecar

JOBS = st.integers(0, 4)


@dataclass
class Expected:
    """What the model remembers of a job. history: the outcome of each attempt that was not refused."""

    state: State = State.PENDING
    listed: bool = True
    history: list[str] = field(default_factory=list)
    images: int = 0
    cause: Cause | None = None
    cause_before: Cause | None = None  # of the attempt before the newest


OUTCOMES = {
    Event.ACCEPTED: "accepted",
    Event.REJECTED: "rejected",
    Event.DOUBTED: "in_doubt",
    Event.COMPLETED: "succeeded",
    Event.RETRIED: "failed",
    Event.SAVED: "saved",
    Event.LOST: "succeeded",
}


class Walk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.state = StateFile(self.folder / STATE)
        self.jobs: dict[int, Expected] = {}
        self.entries: dict[int, Entry] = {}

    def teardown(self) -> None:
        self.state.close()
        shutil.rmtree(self.folder)

    def act(self, event: Event, entry: Entry) -> Any:
        state = self.state
        acts: dict[Event, Callable[[], Any]] = {
            Event.CLAIMED: partial(state.claim, entry, NOW),
            Event.RELEASED: partial(state.release, entry),
            Event.ACCEPTED: partial(state.accept, entry, f"id-{entry.id}-{entry.attempts}", NOW),
            Event.REJECTED: partial(state.reject, entry, CAUSE, NOW),
            Event.DOUBTED: partial(state.doubt, entry, CAUSE),
            Event.COMPLETED: partial(state.complete, entry, ["https://a/b.png"], 0.02, NOW),
            Event.EXPIRED: partial(state.expire, entry),
            Event.RETRIED: partial(state.fail_there, entry, CAUSE, None, NOW, again=True),
            Event.FAILED: partial(state.fail_here, entry, CAUSE),
            Event.SAVED: partial(state.save, entry, [a_picture(entry)]),
            Event.CANCELLED: partial(state.cancel, entry, NOW),
            Event.REOPENED: partial(state.reopen, entry),
            Event.RECOLLECTED: partial(state.recollect, entry),
            Event.LOST: partial(state.lose, entry, [a_picture(entry)]),
            Event.FOUND: partial(state.find, with_sidecar(entry), [a_picture(entry)]),
        }
        ((fine, value),) = state.commit([acts[event]])
        if not fine:
            raise value
        return value[0] if event is Event.SAVED else value

    @rule(numbers=st.sets(JOBS))
    def enlist(self, numbers: set[int]) -> None:
        jobs = [a_job(number) for number in sorted(numbers)]
        ((fine, entries),) = self.state.commit([partial(self.state.enlist, jobs)])
        assert fine
        for number, entry in zip(sorted(numbers), entries, strict=True):
            self.jobs.setdefault(number, Expected()).listed = True
            self.entries.setdefault(number, entry)
            assert (entry.state, entry.attempts) == (self.jobs[number].state, len(self.jobs[number].history))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), event=st.sampled_from(Event))
    def move(self, data: st.DataObject, event: Event) -> None:
        number = data.draw(st.sampled_from(sorted(self.jobs)))
        self.attempt(number, self.entries[number], event)

    @rule(number=JOBS, choices=st.lists(st.integers(0, 11), min_size=4, max_size=16))
    def go_on(self, number: int, choices: list[int]) -> None:
        """Legal moves only: random ones alone would seldom come far."""
        self.enlist({number})
        for choice in choices:
            legal = sorted(MOVES[self.jobs[number].state])
            self.attempt(number, self.entries[number], legal[choice % len(legal)])
            self.the_file_says_what_the_model_says()

    def attempt(self, number: int, entry: Entry, event: Event) -> None:
        job = self.jobs[number]
        if event not in MOVES[job.state]:
            try:
                self.act(event, entry)
            except Defect:
                return
            raise AssertionError(f"{job.state} let itself be {event}")
        self.entries[number] = self.act(event, entry)
        self.remember(job, event)

    def remember(self, job: Expected, event: Event) -> None:
        if event is Event.CLAIMED:
            job.cause_before = job.cause
            job.history.append("submitting")
        elif event is Event.RELEASED:
            job.cause = job.cause_before
            job.history.pop()
        elif event is Event.CANCELLED and job.state is State.RUNNING:
            job.history[-1] = "cancelled"
        elif event is Event.FOUND:
            job.history = [*job.history[:-1], "saved"]
        elif event in OUTCOMES:
            job.history[-1] = OUTCOMES[event]
        if event in {Event.SAVED, Event.FOUND, Event.LOST}:
            job.images = int(event is not Event.LOST)
        if event in {Event.REJECTED, Event.DOUBTED, Event.FAILED, Event.RETRIED}:
            job.cause = CAUSE
        elif event in {Event.CLAIMED, Event.SAVED, Event.RECOLLECTED, Event.FOUND}:
            job.cause = None
        job.state = MOVES[job.state][event]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def leave_the_manifest(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.jobs)))
        self.state.must_commit([partial(self.state.unlist, [self.entries[number].id])])
        self.jobs[number].listed = False

    @rule()
    def die_and_start_again(self) -> None:
        self.state.close()
        self.state = StateFile(self.folder / STATE)
        entries = {entry.job.key: entry for entry in reading.entries(self.state.connection, State)}
        self.entries = {number: entries[a_job(number).key] for number in self.entries}

    @invariant()
    def the_file_says_what_the_model_says(self) -> None:
        entries = {entry.job.key: entry for entry in reading.entries(self.state.connection, State)}
        assert len(entries) == len(self.jobs)
        for number, job in self.jobs.items():
            entry = entries[a_job(number).key]
            assert (entry.state, entry.attempts, entry.cause) == (job.state, len(job.history), job.cause)
            history = self.state.connection.execute(
                "SELECT outcome FROM attempts WHERE job_id = ? ORDER BY n", (entry.id,)
            )
            assert [outcome for (outcome,) in history] == job.history

    @invariant()
    def the_counts_are_those_of_the_listed(self) -> None:
        listed = [job for job in self.jobs.values() if job.listed]
        expected = {state: count for state in State if (count := sum(job.state is state for job in listed))}
        assert reading.by_state(self.state.connection) == expected
        assert reading.images(self.state.connection)[0] == sum(job.images for job in listed)
        done = sum(job.state is State.DONE for job in listed)
        assert len(list(reading.records(self.state.connection, simulated=False, version="0"))) == done


Walk.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestRandomWalks = Walk.TestCase
