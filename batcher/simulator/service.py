"""The service without HTTP: it accepts requests, runs them, charges for them and remembers them.

Nothing here awaits, so no operation is interrupted: an accepted request is in the journal before its answer is sent.
Time is the running loop's, which may be virtual; ``wall`` gives the time of day at the start.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

from batcher.simulator import catalog
from batcher.simulator.answers import Refusal, coded, invalid, too_many
from batcher.simulator.chance import fingerprint
from batcher.simulator.counters import Counters
from batcher.simulator.faults import FaultBook
from batcher.simulator.jobs import Line, Request, State
from batcher.simulator.journal import Journal, JournalError
from batcher.simulator.latency import Gate
from batcher.simulator.profile import Profile


class Simulator:
    """A RunComfy Model API in memory.

    profile: how it behaves. wall: gives Unix seconds, for the times in answers.
    journal: a file from which the next process restores requests and charges; None for none.
    salt: part of the hash that request ids are made from. Two simulators with the same profile and salt give the same
    ids to the same submits.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        *,
        wall: Callable[[], float] = time.time,
        journal: Path | None = None,
        salt: str = "",
    ) -> None:
        self.requests: dict[str, Request] = {}
        self.counters = Counters()
        self._wall = wall
        self._salt = salt
        self._journal = Journal(journal) if journal else None
        self._line = Line(self._started)
        self._promised = 0.0  # US dollars that waiting jobs will cost
        self._loop_start: float | None = None
        self._wall_start = 0.0
        self.profile = profile or Profile()
        self._apply()

    def __repr__(self) -> str:
        return f"<Simulator, requests: {len(self.requests)}, charged: ${self.counters.charged_usd:.2f}>"

    def now(self) -> float:
        """Seconds since the service's start in this process."""
        moment = asyncio.get_running_loop().time()
        if self._loop_start is None:
            self._loop_start, self._wall_start = moment, self._wall()
            self._restore()
        return moment - self._loop_start

    def date(self, moment: float | None = None) -> float:
        """Unix seconds of a time of ``now()``, by default of now."""
        moment = self.now() if moment is None else moment
        return self._wall_start + moment

    def change(self, settings: Mapping[str, Any]) -> None:
        """Changes the profile. Accepted jobs keep their times and outcome. Raises ProfileError."""
        self.advance()
        self.profile = self.profile.merged(settings)
        self._apply()

    def _apply(self) -> None:
        profile = self.profile
        self.faults = FaultBook(profile.seed, profile.faults)
        rate, calls = profile.rate_limit, profile.call_rate_limit
        self._submits = Gate(rate, profile.rate_burst, profile.rate_shape) if rate else None
        self._calls = Gate(calls, None, profile.rate_shape) if calls else None

    def admit(self, endpoint: str) -> None:
        """Raises Refusal with 429 if the call comes too soon."""
        for gate, mode in (
            (self._calls, self.profile.call_retry_after),
            (self._submits if endpoint == "submit" else None, self.profile.retry_after),
        ):
            wait = gate.ask(self.now()) if gate else 0.0
            if wait > 0:
                self.counters.refused += 1
                raise Refusal(too_many(wait, mode, self.date()))

    def authorize(self, header: str) -> None:
        """Raises Refusal unless the Authorization header has a token that is accepted."""
        scheme, _, token = header.partition(" ")
        tokens = self.profile.tokens
        if scheme.lower() != "bearer" or not token.strip() or (tokens is not None and token not in tokens):
            raise Refusal(coded(400004, "token missing, expired or revoked", status=400))

    def submit(self, model: str, inputs: Mapping[str, Any]) -> Request:
        """Accepts a request. Raises Refusal if model or inputs are wrong, or the balance is too low."""
        self.advance()
        if model not in catalog.MODELS:
            raise Refusal(coded(400001, f"no such model: {model}"))
        if wrong := catalog.complaints(model, inputs, self.profile):
            raise Refusal(invalid(wrong))
        cost = self.profile.price * catalog.units(model, inputs)
        balance = self.balance()
        if balance is not None and balance - self._promised < cost - 1e-9:
            raise Refusal(coded(400002, "the balance does not cover this request"))
        return self._accept(model, inputs)

    def _accept(self, model: str, inputs: Mapping[str, Any]) -> Request:
        print_ = fingerprint(model, inputs)
        copy = self.counters.accepted[print_] + 1
        seed, now = self.profile.seed, self.now()
        outcome = self.faults.outcome(print_, copy)
        if outcome:
            self.counters.faults[f"result:{outcome.kind}"] += 1
        wait = self.profile.queue.draw(seed, "queue", print_, copy)
        plan = (wait, self.profile.latency.draw(seed, "run", print_, copy), outcome.kind if outcome else "")
        request_id = _request_id(self._salt, seed, print_, copy)
        request = Request(len(self.requests) + 1, request_id, model, inputs, now, *plan)
        self._write("accepted", id=request_id, model=model, inputs=inputs, at=self.date(now), plan=plan)
        self._enter(request)
        self.advance()
        return request

    def _enter(self, request: Request) -> None:
        self.requests[request.id] = request
        self.counters.accepted[request.fingerprint] += 1
        if request.state is State.CANCELLED:
            return
        if request.started is None:
            self._promised += self._price(request)
        self._line.enter(request, self.now())

    def find(self, request_id: str) -> Request | None:
        """The request; None if there is none."""
        self.advance()
        return self.requests.get(request_id)

    def cancel(self, request: Request) -> bool:
        """Cancels a request that waits. Returns whether it is cancelled now."""
        self.advance()
        if request.state is State.QUEUED:
            self._line.leave(request)
            self._promised -= self._price(request)
            request.state, request.finished = State.CANCELLED, self.now()
            self._write("cancelled", id=request.id, at=self.date())
        return request.state is State.CANCELLED

    def advance(self) -> None:
        self._line.advance(self.now(), self.profile.slots)

    def queue_position(self, request: Request) -> int:
        return self._line.position(request)

    def balance(self) -> float | None:
        """US dollars that are left; None without a limit."""
        self.advance()
        return None if self.profile.balance is None else self.profile.balance - self.counters.charged_usd

    def leaked(self) -> None:
        """Counts a token that was sent to a place that must not get it."""
        self.counters.leaks += 1
        self._write("leak")

    def reported_cost(self, request: Request) -> Any:
        """The cost in the result: US dollars, or whatever the profile's ``costs`` say; None to leave it out."""
        if request.cost is None:
            return None
        return self._listed_cost(request) if self.profile.costs else round(request.cost, 6)

    def _listed_cost(self, request: Request) -> Any:
        costs = self.profile.costs
        return costs[(request.number - 1) % len(costs)] if costs else None

    def _price(self, request: Request) -> float:
        """US dollars."""
        cost = self._listed_cost(request)
        if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0:
            return float(cost)
        return self.profile.price * catalog.units(request.model, request.inputs)

    def _started(self, request: Request) -> None:
        price = self._price(request)
        self._promised -= price
        fails = bool(request.outcome) and not request.outcome.startswith(("url_", "no_url"))
        charged = price if not fails or self.profile.charge_failed else None
        self._charge(request, charged)
        self._write("started", id=request.id, at=self.date(request.started), usd=charged)

    def _charge(self, request: Request, usd: float | None) -> None:
        request.cost = usd
        if usd is not None:
            self.counters.charged[request.fingerprint] += 1
            self.counters.charged_usd += usd

    def _write(self, kind: str, **values: Any) -> None:
        if self._journal:
            self._journal.write(kind, **values)

    def close(self) -> None:
        """Closes the journal; the next write opens it again."""
        if self._journal:
            self._journal.close()

    def _restore(self) -> None:
        if not self._journal:
            return
        restored: dict[str, Request] = {}
        for number, record in enumerate(self._journal.records(), 1):
            try:
                self._replay(record, restored)
            except (KeyError, TypeError, ValueError) as error:
                raise JournalError(f"record {number} of the journal does not fit those before it: {error!r}") from error
        for request in restored.values():
            self._enter(request)
        self.counters.received.update(self.counters.accepted)

    def _replay(self, record: Mapping[str, Any], restored: dict[str, Request]) -> None:
        match record["t"]:
            case "accepted":
                accepted, number = record["at"] - self._wall_start, len(restored) + 1
                what = (record["id"], record["model"], record["inputs"])
                restored[record["id"]] = Request(number, *what, accepted, *record["plan"])
            case "started":
                request = restored[record["id"]]
                request.started = record["at"] - self._wall_start
                self._charge(request, record["usd"])
            case "cancelled":
                request = restored[record["id"]]
                request.state, request.finished = State.CANCELLED, record["at"] - self._wall_start
            case "leak":
                self.counters.leaks += 1

    def stats(self) -> dict[str, Any]:
        """What was counted so far, and how many requests are in each state now, as JSON data."""
        self.advance()
        states = [request.state for request in self.requests.values()]
        return {
            **self.counters.shown(),
            **{state.value: states.count(state) for state in State},
            "peak_running": self._line.peak,
            "balance_usd": self.balance(),
        }

    def listing(self) -> Iterator[dict[str, Any]]:
        """One JSON object for each request, in the order of acceptance."""
        self.advance()
        return (request.shown(self._wall_start) for request in self.requests.values())


def _request_id(*what: object) -> str:
    digest = blake2b(" ".join(map(str, what)).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))
