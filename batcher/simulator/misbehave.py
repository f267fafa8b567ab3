"""API calls that go wrong on purpose."""

import asyncio
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
    return await _spoilt(rule, request, answer)


async def _spoilt(rule: Fault, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    body, kind = wire.encoded(answer)
    match rule.kind:
        case "slow":
            await asyncio.sleep(rule.seconds)
        case "cut":
            return await wire.cut(request, body, kind=kind)
        case "huge" | "endless":
            size = rule.size if rule.kind == "huge" else None
            return await wire.flood(request, kind=kind, opening=b'{"padding": "', size=size)
        case "drop_after" | "drop":
            return wire.drop(request)
        case _:
            answer = _other_answer(rule.kind, answer)
    return wire.reply(answer)


def _other_answer(kind: str, answer: Answer) -> Answer:
    if kind in {"html_200", "empty_200"}:
        return Answer(200, answers.HTML.format("Just a moment...") if kind == "html_200" else "")
    if kind == "unknown_word" and isinstance(answer.body, dict) and "status" in answer.body:
        return Answer(answer.status, answer.body | {"status": "hibernating"})
    return answer
