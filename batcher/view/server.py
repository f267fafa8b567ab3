"""The page's server: serves the files of the page, the data of runs, and images by job key."""

import json
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from batcher.core.command_line import repair
from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.core.units import show_count
from batcher.core.version import __version__
from batcher.core.where import FLAG
from batcher.images.storage import reader_of
from batcher.runner.watchers import metrics
from batcher.store.files.safe_reader import Absent, NotAFile, Outside
from batcher.store.joined import whose
from batcher.store.viewing import JobRow
from batcher.view import changes, details, filtering
from batcher.view.live import Live
from batcher.view.run_reader import RunReader
from batcher.view.runs import Runs
from batcher.view.safety import HEADERS, Guard
from batcher.view.thumbs import place

PAGE = Path(__file__).parent / "page"
FILES = {path.name: path for path in sorted(PAGE.iterdir()) if path.suffix in {".js", ".css", ".html", ".svg"}}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
_FOREVER = "private, max-age=31536000, immutable"  # for addresses that contain the hash of the content
_MOST_BODY = 4 << 20  # bytes
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Work = Callable[[Live, Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Server:
    """The routes and their handlers. The page uses relative addresses, so a proxy can serve it under any path.

    runs: what the page shows. guard: decides which requests are answered. read_only: whether the page can change
    nothing. app: the application, to be run.
    """

    def __init__(self, runs: Runs, guard: Guard, *, read_only: bool = False) -> None:
        self._runs = runs
        self._guard = guard
        self._read_only = read_only
        self.app = web.Application(middlewares=[self._guarded, _explained], client_max_size=_MOST_BODY)
        self.app.on_response_prepare.append(_harden)
        self.app.on_cleanup.append(self._clean_up)
        run = "/runs/{run}"
        self.app.add_routes([
            web.get("/", self._page),
            web.get("/page/{name}", self._page),
            web.post("/session", self._session),
            web.get("/runs", self._list),
            web.get("/metrics", self._metrics),
            web.get(f"{run}/metrics", self._metrics),
            web.get(f"{run}/index", self._index),
            web.get(f"{run}/changes", self._changes),
            web.get(f"{run}/events", self._events),
            web.get(f"{run}/where", self._where),
            web.get(f"{run}/job/{{key}}", self._job),
            web.get(f"{run}/thumb/{{key}}/{{output:\\d{{1,3}}}}", self._thumb),
            web.get(f"{run}/picture/{{key}}/{{output:\\d{{1,3}}}}", self._image),
            web.post(f"{run}/picks", self._change(partial(_verdicts, changes.pick))),
            web.post(f"{run}/undo", self._change(partial(_verdicts, changes.undo))),
            web.post(f"{run}/tune", self._change(lambda live, body: live.ask(changes.tune, live.reader, body))),
            web.post(f"{run}/retry", self._change(lambda live, body: to_thread(changes.retry, live.reader, body))),
            web.post(f"{run}/more", self._change(lambda live, body: to_thread(changes.more, live.run_dir, body))),
            web.post(f"{run}/export", self._change(lambda live, body: to_thread(changes.export, live.run_dir, body))),
        ])  # fmt: skip

    async def _clean_up(self, _app: web.Application) -> None:
        await self._runs.close()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        public = request.path in {"/", "/session"} or request.path.startswith("/page/")
        cookie = request.cookies.get(self._guard.cookie)
        refused = self._guard.refusal(request.method, request.headers, is_public=public, cookie=cookie)
        if refused is not None:
            return _error(refused.why, status=refused.status)
        return await handler(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        path = FILES.get(request.match_info.get("name", "index.html"))
        if path is None:
            raise web.HTTPNotFound
        headers = {"Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "Cache-Control": "no-cache"}
        return web.FileResponse(path, headers=headers)

    async def _session(self, request: web.Request) -> web.StreamResponse:
        """Set a cookie with the token, which the page has in the fragment of its address. Images need the cookie."""
        body = await _body(request)
        if not self._guard.is_token(str(body.get("token", ""))):
            return _error("that is not the token of this page", "Open the printed address again.", status=401)
        answer = _json({"ok": True})
        answer.set_cookie(self._guard.cookie, self._guard.token, httponly=True, samesite="Strict", path="/")
        return answer

    async def _list(self, _request: web.Request) -> web.StreamResponse:
        facts = {"version": __version__, "read_only": self._read_only, "many": self._runs.are_many}
        return _json({**facts, "runs": await self._runs.listed()})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """Metrics for Prometheus, which sends the token as ``Authorization: Bearer``."""
        live = self._live(request)
        text = await live.ask(lambda: metrics.text(live.reader.connection, going=live.reader.is_going()))
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _index(self, request: web.Request) -> web.StreamResponse:
        packed = await self._live(request).index()
        headers = {"Content-Encoding": "deflate", "Cache-Control": "no-store"}
        return web.Response(body=packed, content_type="application/json", headers=headers)

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        live = self._live(request)
        live.watch()
        messages = live.since(request.query.get("since", ""))
        return _json({"at": live.at, "messages": [json.loads(text) for _, text in messages]})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        live = self._live(request)
        at = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        answer = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        answer.content_type = "text/event-stream"
        await answer.prepare(request)
        try:
            await answer.write(b"retry: 500\n\n")  # milliseconds
            async for message in live.follow(at):
                text = b": here\n\n" if message is None else b"id: %b\ndata: %b\n\n" % (message[0].encode(), message[1])
                await answer.write(text)
        except ConnectionError:
            pass
        return answer

    async def _where(self, request: web.Request) -> web.StreamResponse:
        live = self._live(request)
        text, judge = request.query.get("q", ""), live.judge
        matches, warnings = await live.ask(filtering.matching, live.reader, text, judge.flags)
        if FLAG in text and judge.unmeasured:
            images = show_count(judge.unmeasured, "image is", "images are")
            warnings.append(f"{images} not looked at yet: try again in a while")
        return _json({"items": matches, "warnings": warnings})

    async def _job(self, request: web.Request) -> web.StreamResponse:
        live = self._live(request)
        return _json(await live.ask(details.job, live.reader, request.match_info["key"]))

    async def _thumb(self, request: web.Request) -> web.StreamResponse:
        live = self._live(request)
        row, path, run_dir = await self._file(live, request)
        target = place(run_dir, row.sha256 or "")
        headers = {"Cache-Control": _FOREVER if request.query_string else "no-cache"}
        if target.is_file() and not target.is_symlink():
            return web.FileResponse(target, headers={**headers, "Content-Type": "image/webp"})
        try:
            content, measured = await self._runs.thumbs.made(path, target)
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            await live.ask(live.reader.watch, row, path)
            why = f"{path.name} can't be shown: {error}. If it is damaged, this fetches it again, free:"
            return _error(why, repair(run_dir), status=422)
        if measured is not None:
            live.judge.saw(run_dir, row.sha256 or "", measured)
        return web.Response(body=content, content_type="image/webp", headers=headers)

    async def _image(self, request: web.Request) -> web.StreamResponse:
        row, path, _ = await self._file(self._live(request), request)
        mime = row.mime if row.mime in _IMAGES else "application/octet-stream"
        headers = {"Content-Type": mime, "Cache-Control": _FOREVER if request.query_string else "no-cache"}
        return web.FileResponse(path, headers=headers)

    async def _file(self, live: Live, request: web.Request) -> tuple[JobRow, Path, Path]:
        """The row of an image, its path and its run directory.

        A request names a job key, never a path. The path in the state file is not trusted, but checked.
        """
        key, output = request.match_info["key"], int(request.match_info["output"])
        row = await live.ask(live.reader.image, key, output)
        if row is None:
            raise _not_found("there is no such image")
        run_dir, file = whose(live.run_dir, row.file or "")
        try:
            path = await to_thread(lambda: reader_of(run_dir).regular(file))
            if path.stat().st_size == row.bytes:
                return row, path, run_dir
            what = "damaged"
        except (Absent, NotAFile, Outside, OSError, ValueError):
            what = "gone"
        await live.ask(live.reader.watch, row, run_dir / file)
        raise _not_found(f"{file} is {what}. This fetches it again, free:", repair(run_dir))

    def _change(self, work: Work) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            if self._read_only:
                return _error("this page is read-only: it was opened with --read-only", status=403)
            live, body = self._live(request), await _body(request)
            answer = await work(live, body)
            await live.update()  # so that the change is in the index at once
            return _json(answer)

        return handler

    def _live(self, request: web.Request) -> Live:
        live = self._runs.get(request.match_info.get("run", self._runs.name))
        if live is None:
            raise _not_found("there is no such run here")
        return live


async def _verdicts(
    work: Callable[[RunReader, Mapping[str, Any]], dict[str, Any]], live: Live, body: Mapping[str, Any]
) -> dict[str, Any]:
    answer = await live.ask(work, live.reader, body)
    live.records.verdicts_came()
    return answer


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a BatcherError into a JSON answer."""
    try:
        return await handler(request)
    except BatcherError as error:
        return _error(error.message, error.hint, status=507 if isinstance(error, DiskError) else 400)


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers[hdrs.SERVER] = "batcher"


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise UsageError("not a JSON object")
    return body


def _error(why: str, hint: str = "", *, status: int) -> web.Response:
    return _json({"error": why, "hint": hint}, status)


def _not_found(why: str, hint: str = "") -> web.HTTPNotFound:
    return web.HTTPNotFound(text=json.dumps({"error": why, "hint": hint}), content_type="application/json")


def _json(facts: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.json_response(facts, status=status, headers={"Cache-Control": "no-store"})
