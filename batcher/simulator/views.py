"""The API's answers about a request: to submit, status, result and cancel."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from batcher.simulator import catalog, links, media
from batcher.simulator.answers import NOT_READY, Answer, Refusal, coded
from batcher.simulator.jobs import Request, State
from batcher.simulator.service import Simulator

_ERRORS: Mapping[str, Any] = {
    "failed": "upstream error: the model gave no image",
    "failed_object": {"code": 500001, "message": "upstream error: the model gave no image"},
    "content_policy": "content policy violation: the prompt was refused",
}


def submitted(request: Request, origin: str, status: int = 200) -> Answer:
    """The answer to an accepted submit. status: of HTTP. origin: of this server, for the URLs."""
    body = {"request_id": request.id, **_urls(request, origin), "cancel_url": _url(request, origin, "cancel")}
    return Answer(status, body | {"status": "in_queue"} if status == 202 else body)


def status(simulator: Simulator, request: Request, origin: str) -> Answer:
    """The answer of the status endpoint. Counts as a read."""
    _count_read(simulator, request)
    body: dict[str, Any] = {"request_id": request.id, "status": _word(simulator, request)}
    if request.state is State.QUEUED:
        body["queue_position"] = simulator.queue_position(request)
    return Answer(200, body | _urls(request, origin))


def result(simulator: Simulator, request: Request, origin: str, *, include_cost: bool) -> Answer:
    """The answer of the result endpoint. Counts as a read. Raises Refusal if the profile refuses an unfinished result.

    include_cost: whether the call asked for the cost.
    """
    _count_read(simulator, request)
    profile = simulator.profile
    if not request.ended and profile.unfinished_result is not None:
        if profile.unfinished_result == NOT_READY:
            raise Refusal(coded(NOT_READY))
        raise Refusal(Answer(profile.unfinished_result, {"message": "The request has not finished yet"}))
    body: dict[str, Any] = {"request_id": request.id, "status": _result_word(simulator, request)}
    if profile.echo:
        body |= {"model_id": request.model, "input": dict(request.inputs), **_urls(request, origin)}
    if not request.ended:
        return Answer(200, body)
    request.ended_reads += 1
    if request.ended_reads <= profile.lagging_result and request.state is not State.CANCELLED:
        return Answer(200, body | {"status": profile.running_word})
    return Answer(200, body | _ending(simulator, request, origin, include_cost=include_cost))


def cancelled(simulator: Simulator, request: Request) -> Answer:
    """Cancels the request if it is still queued. 202 in any case: ``outcome`` says whether it is cancelled now."""
    done = simulator.cancel(request)
    outcome = "cancelled" if done else "not_cancellable"
    return Answer(202, {"request_id": request.id, "status": _word(simulator, request), "outcome": outcome})


def _ending(simulator: Simulator, request: Request, origin: str, *, include_cost: bool) -> dict[str, Any]:
    ending: dict[str, Any] = {
        "created_at": _utc(simulator.date(request.accepted)),
        "finished_at": _utc(simulator.date(request.finished)),
    }
    if request.state is State.FINISHED:
        ending["output"] = _output(simulator, request, origin)
    elif request.outcome in _ERRORS:
        ending["error"] = _ERRORS[request.outcome]
    late = simulator.profile.lagging_result + simulator.profile.cost_late
    if include_cost and request.ended_reads > late and (cost := simulator.reported_cost(request)) is not None:
        ending["cost"] = cost
    return ending


def _output(simulator: Simulator, request: Request, origin: str) -> Any:
    profile = simulator.profile
    if request.outcome == "no_url" or profile.output_shape == "empty":
        return {}
    if request.outcome.startswith("url_"):
        to = next((rule.to for rule in profile.faults if rule.kind == request.outcome), None)
        urls = [links.hostile(request.outcome, origin, request.id, to)]
    else:
        urls = [origin + link.path for link in _links(simulator, request)]
    form = catalog.output_format(request.model, request.inputs)
    if form in media.KEYS:
        return {media.KEYS[form]: urls[0]}
    return _shaped(profile.output_shape, urls)


def _links(simulator: Simulator, request: Request) -> list[links.Link]:
    form = catalog.output_format(request.model, request.inputs)
    issued = 0 if simulator.profile.link_lifetime is None else round(simulator.date() * 1000)
    return [
        links.Link(request.id, index, issued, form) for index in range(catalog.outputs(request.model, request.inputs))
    ]


def _shaped(shape: str, urls: list[str]) -> Any:
    """The links in a shape of ``Profile.output_shape``; several files are a list where the shape has room for one."""
    match shape:
        case "image" if len(urls) == 1:
            return {"image": urls[0]}
        case "both":
            return {"image": urls[0], "images": urls}
        case "string" if len(urls) == 1:
            return urls[0]
        case "string" | "list":
            return urls
        case _:
            return {"images": urls}


def _count_read(simulator: Simulator, request: Request) -> None:
    request.reads += 1
    if request.reads <= simulator.profile.fresh_404:
        raise Refusal(coded(404001))


def _word(simulator: Simulator, request: Request) -> str:
    profile = simulator.profile
    match request.state:
        case State.QUEUED:
            return profile.queued_word
        case State.RUNNING:
            return profile.running_word
        case State.CANCELLED:
            return request.outcome or "cancelled"
        case _:
            return "completed"


def _result_word(simulator: Simulator, request: Request) -> str:
    if request.state is State.FAILED:
        return "failed"
    return simulator.profile.success_word if request.state is State.FINISHED else _word(simulator, request)


def _urls(request: Request, origin: str) -> dict[str, str]:
    return {"status_url": _url(request, origin, "status"), "result_url": _url(request, origin, "result")}


def _url(request: Request, origin: str, what: str) -> str:
    return f"{origin}/v1/requests/{request.id}/{what}"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
