"""The service itself, without HTTP: takes requests in, runs them, charges for them, remembers them.

Nothing here awaits, so every operation is whole: a request that was accepted is in the journal before its answer can
leave. Time is the running loop's, which may be virtual; ``wall`` says what time of day that was at the start.
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

    wall: Unix seconds, for the times in answers. journal: a file that makes the service outlive its process.
    salt: makes request ids differ from those of another simulator with the same profile; without one, the same
    submits get the same ids.
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
        self._promised = 0.0  # what jobs that wait will cost
        self._loop_start: float | None = None
        self._wall_start = 0.0
        self.profile = profile or Profile()
        self._apply()

    def now(self) -> float:
        """Seconds since the service's start in this process."""
        moment = asyncio.get_running_loop().time()
        if self._loop_start is None:
            self._loop_start, self._wall_start = moment, self._wall()
            self._restore()
        return moment - self._loop_start

    def date(self, moment: float | None = None) -> float:
        """Unix seconds of a moment of ``now()``; of now without one."""
        moment = self.now() if moment is None else moment
        return self._wall_start + moment

    def change(self, settings: Mapping[str, Any]) -> None:
        """Behave differently from now on. Jobs already accepted keep their plan. Raises ProfileError."""
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
        """Raises Refusal with 429 when the call comes too soon."""
        for gate, mode in (
            (self._calls, self.profile.call_retry_after),
            (self._submits if endpoint == "submit" else None, self.profile.retry_after),
        ):
            wait = gate.ask(self.now()) if gate else 0.0
            if wait > 0:
                self.counters.refused += 1
                raise Refusal(too_many(wait, mode, self.date()))

    def authorize(self, header: str) -> None:
        """Raises Refusal unless the header carries a token this service takes."""
        scheme, _, token = header.partition(" ")
        tokens = self.profile.tokens
        if scheme.lower() != "bearer" or not token.strip() or (tokens is not None and token not in tokens):
            raise Refusal(coded(400004, "token missing, expired or revoked", status=self.profile.auth_status))

    def submit(self, model: str, inputs: Mapping[str, Any]) -> Request:
        """Raises Refusal when the model or its inputs are wrong, or the balance does not cover it."""
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
        request = Request.planned(len(self.requests) + 1, request_id, model, inputs, now, plan)
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
        """None when there is no such request, or no longer."""
        self.advance()
        request = self.requests.get(request_id)
        lifetime = self.profile.result_lifetime
        if request is None or lifetime is None or request.finished is None:
            return request
        return request if self.now() - request.finished <= lifetime else None

    def cancel(self, request: Request) -> bool:
        """Whether it is cancelled now: only jobs that still wait can be."""
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
        """What is left by now; None when it never ends."""
        self.advance()
        return None if self.profile.balance is None else self.profile.balance - self.counters.charged_usd

    def leaked(self) -> None:
        """A token came to a place that must never see one."""
        self.counters.leaks += 1
        self._write("leak")

    def told_cost(self, request: Request) -> Any:
        """What the result says that the request cost; None for nothing."""
        costs = self.profile.costs
        if costs and request.cost is not None:
            return costs[(request.number - 1) % len(costs)]
        return None if request.cost is None else round(request.cost, 6)

    def _price(self, request: Request) -> float:
        costs = self.profile.costs
        cost = costs[(request.number - 1) % len(costs)] if costs else None
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
        """Let go of the journal. Serving again takes it up again."""
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
                restored[record["id"]] = Request.planned(number, *what, accepted, record["plan"])
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
        """Everything counted so far, as JSON data; how many requests are in each state is of this moment."""
        self.advance()
        states = [request.state for request in self.requests.values()]
        return {
            **self.counters.shown(),
            **{state.value: states.count(state) for state in State},
            "peak_running": self._line.peak,
            "balance_usd": self.balance(),
        }

    def listing(self) -> Iterator[dict[str, Any]]:
        """One JSON object a request, in the order of acceptance."""
        self.advance()
        return (request.shown(self._wall_start) for request in self.requests.values())


def _request_id(*what: object) -> str:
    digest = blake2b(" ".join(map(str, what)).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))
