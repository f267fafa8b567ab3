"""The host of the files: it takes no tokens, and has faults of its own."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from batcher.simulator import answers, catalog, images, links, media, wire
from batcher.simulator.answers import Answer
from batcher.simulator.faults import Fault
from batcher.simulator.jobs import Request, State
from batcher.simulator.models import IMAGEN
from batcher.simulator.service import Simulator

TYPES = images.TYPES | media.TYPES


def file_bytes(inputs: Mapping[str, Any], index: int = 0, *, model: str = IMAGEN, size: int | None = None) -> bytes:
    """The bytes that the file host sends, without faults. index: from 0. size: of the profile, ``image_bytes``."""
    form = catalog.output_format(model, inputs)
    if form in media.TYPES:
        return media.sample(form, inputs)
    return images.image_file(inputs, index, model=model, form=form, size=size)


async def serve_file(simulator: Simulator, request: web.BaseRequest, origin: str) -> web.StreamResponse:
    """Answers a request for a file: its bytes, 403 for an expired link, 404 for an unknown one, or a fault of the
    profile.

    Counts the request, and a token that came with it. origin: of this server, for redirects.
    """
    if "Authorization" in request.headers:
        simulator.leaked()
    path = request.raw_path.partition("?")[0]
    link = links.parse(path)
    owner = simulator.find(link.request_id) if link else None
    if link is None or owner is None or not _belongs(link, owner):
        return _error(404)
    if path != link.path:
        simulator.counters.altered_links += 1
    lifetime = simulator.profile.link_lifetime
    if lifetime is not None and simulator.date() - link.issued / 1000 > lifetime:
        return _error(403)
    body = file_bytes(owner.inputs, link.index, model=owner.model, size=simulator.profile.image_bytes)
    simulator.counters.files += 1
    simulator.counters.file_bytes += len(body)
    rule = simulator.faults.draw("file", f"{owner.id}:{link.index}")
    if rule is None or request.query_string == "moved":
        return wire.raw(body, kind=TYPES[link.form])
    simulator.counters.faults[f"file:{rule.kind}"] += 1
    return await _spoilt(rule, request, owner, body, kind=TYPES[link.form], origin=origin)


def _belongs(link: links.Link, owner: Request) -> bool:
    """Whether the request has such a file."""
    form = catalog.output_format(owner.model, owner.inputs)
    made = owner.state is State.FINISHED
    return made and link.form == form and link.index < catalog.outputs(owner.model, owner.inputs)


def serve_stray(simulator: Simulator, request: web.BaseRequest) -> web.Response:
    """Answers as a host that no client should ask: counts the request, and sends an image."""
    simulator.counters.strays += 1
    if "Authorization" in request.headers:
        simulator.leaked()
    return wire.raw(images.image_file({"prompt": "from an untrusted host"}), kind="image/png")


def _error(status: int) -> web.Response:
    return wire.reply(Answer(status, answers.HTML.format(f"{status}")))


_TYPES = {"wrong_type": "text/html", "no_type": "application/octet-stream"}

_OTHER_BYTES: Mapping[str, Callable[[Request, bytes], bytes]] = {
    "corrupt": lambda _, body: images.flipped(body),
    "short": lambda _, body: body[: len(body) // 2],
    "wrong_ratio": lambda owner, _: images.image_file(owner.inputs, ratio=_another_ratio(owner.inputs)),
    "black": lambda owner, _: images.black(owner.inputs),
    "placeholder": lambda _, __: images.image_file({"prompt": "placeholder"}),
    "bomb": lambda _, __: images.bomb(),
}


async def _spoilt(
    rule: Fault, request: web.BaseRequest, owner: Request, body: bytes, *, kind: str, origin: str
) -> web.StreamResponse:
    if (response := await wire.spoilt(rule, request, body, kind=kind, opening=body[:64])) is not None:
        return response
    if (answer := _other_answer(rule, request, origin)) is not None:
        return wire.reply(answer)
    other = _OTHER_BYTES.get(rule.kind)
    return wire.raw(other(owner, body) if other else body, kind=_TYPES.get(rule.kind, kind))


def _other_answer(rule: Fault, request: web.BaseRequest, origin: str) -> Answer | None:
    """An error or a redirect; None if the rule sends a file."""
    path = request.raw_path.partition("?")[0]
    if rule.kind == "redirect_same":
        return Answer(302, "", {"Location": f"{origin}{path}?moved"})
    if rule.kind == "redirect_other":
        return Answer(302, "", {"Location": f"http://{rule.to or links.other_name(origin)}/untrusted{path}"})
    return answers.error(rule, token="", date=0.0) if rule.kind[0].isdigit() else None


def _another_ratio(inputs: Mapping[str, Any]) -> str:
    return "16:9" if images.asked_ratio(inputs) == "1:1" else "1:1"
