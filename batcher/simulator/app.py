"""The HTTP server: which path does what.

It uses aiohttp's low-level server, without router and middlewares: those would be a third of the work of a small
request, and the simulator often shares a machine with the client under test.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from batcher.simulator import answers, catalog, filehost, links, views, wire
from batcher.simulator.answers import Answer, Refusal, coded, invalid
from batcher.simulator.chance import fingerprint
from batcher.simulator.faults import ERRORS, Fault
from batcher.simulator.fetching import fetched
from batcher.simulator.profile import ProfileError
from batcher.simulator.service import Simulator

_MOST_BODY = 64 * 2**20
_HERE = frozenset({"127.0.0.1", "::1"})
_METHODS = {"status": "GET", "result": "GET", "cancel": "POST"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a simulator listens. host: an address, port: never 0. base_url: the root of the API, as clients want it."""

    host: str
    port: int

    @property
    def origin(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"


@asynccontextmanager
async def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
    """Serves while the block runs. port: 0 for a free one. Raises OSError if the port is taken."""
    simulator.now()
    loop = asyncio.get_running_loop()

    def factory(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MOST_BODY)

    server = web.Server(App(simulator).handle, access_log=None, request_factory=factory, keepalive_timeout=300.0)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield Address(host, int(runner.addresses[0][1]))
    finally:
        await runner.cleanup()
        simulator.close()


class App:
    """simulator: the service that answers."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._dispatch(request)
        except Refusal as refusal:
            return wire.reply(refusal.answer)

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        _, first, rest = path.split("/", 2) if path.count("/") > 1 else ("", path, "")
        if first == "v1":
            return await self._api(request, rest)
        if first == "files" and request.method == "GET":
            self._count("file")
            return await filehost.serve_file(self.simulator, request, _origin(request))
        if first == "_simulator":
            return await self._inspect(request, rest)
        if path == "/prod/v2/balance":
            self._count("balance")
            return await self._call(request, "balance", "", self._balance)
        return filehost.serve_stray(self.simulator, request) if first == "untrusted" else self._lost()

    async def _api(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        kind, _, rest = path.partition("/")
        if kind == "models" and request.method == "POST":
            return await self._submit(request, rest)
        if kind == "models" and request.method == "GET":
            self._count("catalog")
            return await self._call(request, "catalog", rest, lambda: self._catalog(request, rest))
        request_id, _, what = rest.partition("/")
        if kind == "requests" and _METHODS.get(what) == request.method:
            self._count(what)
            return await self._call(request, what, request_id, lambda: self._about(request, request_id, what))
        return self._lost()

    def _count(self, endpoint: str) -> None:
        self.simulator.counters.calls[endpoint] += 1

    def _lost(self) -> web.Response:
        self.simulator.counters.strays += 1
        return wire.reply(Answer(404, {"detail": "Not Found"}))

    async def _submit(self, request: web.BaseRequest, model: str) -> web.StreamResponse:
        self._count("submit")
        inputs = _inputs(await request.read())
        if request.remote in _HERE:
            inputs = await fetched(inputs)
        print_ = fingerprint(model, inputs)
        received = self.simulator.counters.received
        received[print_] += 1

        def act() -> Answer:
            return views.submitted(
                self.simulator.submit(model, inputs), _origin(request), self.simulator.profile.submit_status
            )

        return await self._call(request, "submit", print_, act, times=received[print_])

    async def _call(
        self, request: web.BaseRequest, where: str, subject: str, act: Callable[[], Answer], times: int | None = None
    ) -> web.StreamResponse:
        """Checks the token and the limits, then answers, or does what a fault says.

        where: the endpoint. subject: what the call is about, by which faults are drawn. act: does the call. times:
        which call about the subject it is, from 1; None to count here.
        """
        simulator = self.simulator
        simulator.authorize(request.headers.get("Authorization", ""))
        simulator.admit(where)
        rule = simulator.faults.draw("catalog" if where == "balance" else where, subject, times)
        if rule is None:
            return wire.reply(act())
        simulator.counters.faults[f"{where}:{rule.kind}"] += 1
        return await self._misbehave(rule, request, act)

    async def _misbehave(self, rule: Fault, request: web.BaseRequest, act: Callable[[], Answer]) -> web.StreamResponse:
        """Answers as a fault says. ``act`` is called only if the call does its work before the fault."""
        answer = act() if rule.creates else None
        if rule.kind in ERRORS:
            token = request.headers.get("Authorization", "").partition(" ")[2]
            return wire.reply(answers.error(rule, token=token, date=self.simulator.date()))
        if rule.kind == "redirect":
            target = f"http://{rule.to or links.other_name(_origin(request))}/untrusted{request.raw_path}"
            return wire.reply(Answer(307, "", {"Location": target}))
        if answer is None:
            return wire.drop(request)
        body, kind = wire.encoded(answer)
        spoilt = await wire.spoilt(rule, request, body, kind=kind, opening=b'{"padding": "')
        if spoilt is None and isinstance(answer.body, dict) and "status" in answer.body:  # unknown_word
            answer = Answer(answer.status, answer.body | {"status": "hibernating"})
        return spoilt or wire.reply(answer)

    async def _inspect(self, request: web.BaseRequest, page: str) -> web.Response:
        """Shows what was counted (``stats``, ``requests``), and changes the behaviour (POST ``profile``)."""
        match request.method, page:
            case "GET", "stats":
                return wire.reply(Answer(200, self.simulator.stats()))
            case "GET", "requests":
                lines = "".join(json.dumps(line) + "\n" for line in self.simulator.listing())
                return wire.raw(lines.encode(), kind="application/x-ndjson")
            case "POST", "profile":
                try:
                    self.simulator.change(json.loads(await request.read()))
                except ValueError as error:
                    what = "" if isinstance(error, ProfileError) else "not JSON: "
                    return wire.reply(Answer(422, {"detail": f"{what}{error}"}))
                return wire.reply(Answer(200, {"changed": True}))
        return wire.reply(Answer(404, {"detail": "there are stats, requests and (to POST to) profile"}))

    def _about(self, request: web.BaseRequest, request_id: str, what: str) -> Answer:
        job = self.simulator.find(request_id)
        if job is None:
            raise Refusal(coded(404001))
        if what == "cancel":
            return views.cancelled(self.simulator, job)
        if what == "status":
            return views.status(self.simulator, job, _origin(request))
        include_cost = request.query.get("include_cost") == "true"
        return views.result(self.simulator, job, _origin(request), include_cost=include_cost)

    def _catalog(self, request: web.BaseRequest, model: str) -> Answer:
        price = self.simulator.profile.price
        if not model:
            return catalog.page(request.query, price=price)
        if model == "categories":
            return Answer(200, {"categories": catalog.categories()})
        if model not in catalog.MODELS:
            raise Refusal(coded(400001, f"no such model: {model}"))
        return Answer(200, catalog.entry(model, price=price, schema=True))

    def _balance(self) -> Answer:
        balance = self.simulator.balance()
        usd = 1000.0 if balance is None else round(balance, 6)
        return Answer(200, {"balance_microdollars": round(usd * 1e6), "balance_usd": usd, "currency": "USD"})


def _origin(request: web.BaseRequest) -> str:
    """The address by which the client calls this server, for links: https if a proxy says so."""
    scheme = "https" if request.headers.get("X-Forwarded-Proto") == "https" else "http"
    return f"{scheme}://{request.host}"


def _inputs(body: bytes) -> dict[str, Any]:
    try:
        inputs = json.loads(body)
    except ValueError:
        raise Refusal(invalid([{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error"}])) from None
    if not isinstance(inputs, dict):
        raise Refusal(invalid([{"type": "dict_type", "loc": ["body"], "msg": "Input should be a valid dictionary"}]))
    return inputs
