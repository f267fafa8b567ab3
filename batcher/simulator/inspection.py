"""The simulator's own pages, outside of the API it plays: what was asked of it, and how it shall behave.

``GET /_simulator/stats`` counts as JSON; ``GET /_simulator/requests`` one JSON line a request; ``POST
/_simulator/profile`` merges the settings of its JSON body into the profile. No token is needed.
"""

import json

from aiohttp import web

from batcher.simulator import wire
from batcher.simulator.answers import Answer
from batcher.simulator.profile import ProfileError
from batcher.simulator.service import Simulator


async def inspect(simulator: Simulator, request: web.BaseRequest, page: str) -> web.StreamResponse:
    match request.method, page:
        case "GET", "stats":
            return wire.reply(Answer(200, simulator.stats()))
        case "GET", "requests":
            lines = "".join(json.dumps(line) + "\n" for line in simulator.listing())
            return wire.raw(lines.encode(), kind="application/x-ndjson")
        case "POST", "profile":
            return wire.reply(_change(simulator, await request.read()))
        case _:
            return wire.reply(Answer(404, {"detail": "there are stats, requests and (to POST to) profile"}))


def _change(simulator: Simulator, body: bytes) -> Answer:
    try:
        simulator.change(json.loads(body))
    except ProfileError as error:
        return Answer(422, {"detail": str(error)})
    except ValueError as error:
        return Answer(422, {"detail": f"not JSON: {error}"})
    return Answer(200, {"changed": True})
