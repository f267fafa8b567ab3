"""Jobs, pictures and state files for the store's tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import structs

from batcher.core.errors import Cause
from batcher.core.job import Artifact, Entry, Job, State, images_asked, job_key
from batcher.store import STATE, StateFile

MODEL = "google-deepmind/imagen-4/fast/text-to-image"
NOW = 1_790_000_000.25  # 2026-09-21T14:13:20.250Z
CAUSE = Cause(kind="timeout", message="still in_progress", http_status=504, code="504")


def a_job(number: int = 1, *, path: str | None = None, copy: int = 1, **more: Any) -> Job:
    inputs = {"prompt": f"a heron over lake {number}", "seed": number, **more}
    return Job(
        key=job_key(MODEL, inputs, copy),
        model=MODEL,
        inputs=inputs,
        copy=copy,
        prompt_id=f"heron-{number}",
        meta={"category": "birds"},
        source="birds.csv",
        line=number + 1,
        path=path if path is not None else f"0000/heron-{number}_c{copy}",
        images=images_asked(inputs),
    )


def a_picture(entry: Entry, *, content: str | None = None, index: int = 0, count: int = 1) -> Artifact:
    return Artifact(
        file=f"images/{entry.path}.png",
        bytes=812_345,
        sha256=sha256((content or f"{entry.job.key}/{index}").encode()).hexdigest(),
        mime="image/png",
        width=1408,
        height=768,
        url=f"https://files.runcomfy.net/{entry.job.key}/{index}.png",
        output_index=index,
        output_count=count,
        downloaded_at=NOW + 12,
    )


def with_sidecar(entry: Entry) -> Entry:
    """The entry as a sidecar on disk tells of it: there was an attempt, whatever the state file knows."""
    return structs.replace(entry, attempts=max(1, entry.attempts), request_id="request-of-sidecar", submitted_at=NOW)


@contextmanager
def opened(folder: Path) -> Iterator[StateFile]:
    folder.mkdir(parents=True, exist_ok=True)
    state = StateFile(folder / STATE)
    try:
        yield state
    finally:
        state.close()


@dataclass
class Book:
    """A state file whose calls commit one by one, as a test reads best."""

    state: StateFile
    urls: tuple[str, ...] = ("https://files.runcomfy.net/a.png",)

    def do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        ((fine, value),) = self.state.commit([partial(call, *args, **kwargs)])
        if not fine:
            raise value
        return value

    def enlist(self, *jobs: Job) -> list[Entry]:
        entries: list[Entry] = self.do(self.state.enlist, jobs)
        return entries

    def pending(self, job: Job | None = None) -> Entry:
        (entry,) = self.enlist(a_job() if job is None else job)
        return entry

    def submitting(self, job: Job | None = None) -> Entry:
        return self._entry(self.state.claim, self.pending(job), NOW)

    def running(self, job: Job | None = None) -> Entry:
        return self._accepted(self.submitting(job))

    def ready(self, job: Job | None = None) -> Entry:
        return self.ready_from(self.pending(job))

    def ready_from(self, entry: Entry) -> Entry:
        """The pending entry, submitted and made."""
        running = self._accepted(self._entry(self.state.claim, entry, NOW))
        return self._entry(self.state.complete, running, self.urls, 0.02, NOW + 9)

    def _accepted(self, entry: Entry) -> Entry:
        ((number,),) = self.rows("SELECT count(*) FROM attempts WHERE request_id IS NOT NULL")
        return self._entry(self.state.accept, entry, f"request-{number}", NOW + 0.5)

    def note(self, **facts: Any) -> None:
        """Of ``RunFacts``."""
        self.do(self.state.change_facts, lambda before: replace(before, **facts))

    def done(self, job: Job | None = None, **picture: Any) -> Entry:
        entry = self.ready(job)
        saved: tuple[Entry, list[str]] = self.do(self.state.save, entry, [a_picture(entry, **picture)])
        return saved[0]

    def failed(self, job: Job | None = None) -> Entry:
        return self._entry(self.state.reject, self.submitting(job), CAUSE, NOW)

    def gone(self, job: Job | None = None) -> Entry:
        return self._entry(self.state.fail_here, self.running(job), CAUSE)

    def cancelled(self, job: Job | None = None) -> Entry:
        return self._entry(self.state.cancel, self.pending(job), NOW)

    def in_doubt(self, job: Job | None = None) -> Entry:
        return self._entry(self.state.doubt, self.submitting(job), CAUSE)

    def at(self, state: State, job: Job | None = None) -> Entry:
        """An entry that has come to this state by the shortest way."""
        entry: Entry = getattr(self, str(state))(job)
        return entry

    def _entry(self, call: Callable[..., Entry], *args: Any) -> Entry:
        entry: Entry = self.do(call, *args)
        return entry

    def rows(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.state.connection.execute(question, values).fetchall()


@contextmanager
def a_book(folder: Path) -> Iterator[Book]:
    with opened(folder) as state:
        yield Book(state)
