"""API calls that go wrong on purpose."""

from collections.abc import Callable

from aiohttp import web

from batcher.simulator import answers, links, wire
from batcher.simulator.answers import Answer
from batcher.simulator.faults import ERRORS, Fault


async def misbehave(
    rule: Fault, request: web.BaseRequest, act: Callable[[], Answer], *, origin: str, date: float
) -> web.StreamResponse:
    """Answer a call as the rule says. ``act`` does what was asked for, and is left out where the fault comes first.

    Raises Refusal when ``act`` does: a call that is wrong anyway gets its own answer.
    """
    answer = act() if rule.creates else None
    if rule.kind in ERRORS:
        token = request.headers.get("Authorization", "").partition(" ")[2]
        return wire.reply(answers.error(rule, token=token, date=date))
    if rule.kind == "redirect":
        target = f"http://{rule.to or links.other_name(origin)}/untrusted{request.raw_path}"
        return wire.reply(Answer(307, "", {"Location": target}))
    if answer is None:
        return wire.drop(request)
    body, kind = wire.encoded(answer)
    spoilt = await wire.spoilt(rule, request, body, kind=kind, opening=b'{"padding": "')
    if spoilt is not None:
        return spoilt
    if rule.kind == "unknown_word" and isinstance(answer.body, dict) and "status" in answer.body:
        answer = Answer(answer.status, answer.body | {"status": "hibernating"})
    return wire.reply(answer)
