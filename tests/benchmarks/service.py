"""The service side of the benchmarks: the Model API's good answers over HTTP/1.1, as cheap as Python can give them.

A process of its own, so that what is measured is the client. It keeps nothing: a request id holds the moment of its
submit, and a picture is one prepared file with its id in a text chunk, so that no two are the same bytes.

    python -m tests.benchmarks.service --form png --size 20000 --latency 0
"""

import argparse
import asyncio
import io
import json
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import PIPE, Popen

from PIL import Image

MODEL = "google-deepmind/imagen-4/fast/text-to-image"
SHAPE = (1408, 768)  # what Imagen 4 Fast gives for 16:9
CHUNK = 65_536  # bytes a step of a throttled body
BIG = 200_000  # bytes from which the kernel sends a file by itself


class Pictures:
    """One picture in two halves; the id goes in between. noisy: camera-like detail, for files of full weight."""

    def __init__(self, form: str, size: int, shape: tuple[int, int] = SHAPE, *, noisy: bool = False) -> None:
        content = _noise(form, shape) if noisy else _flat(form, shape)
        self.form = form
        at = 33 if form == "png" else 2  # after IHDR, or after SOI
        self._before = content[:at]
        self.rest = self._notes(bytes(max(0, size - len(content) - 72))) + content[at:]

    def of(self, name: bytes) -> bytes:
        return self.begin(name) + self.rest

    def begin(self, name: bytes) -> bytes:
        """What comes before ``rest``, which is the same for all."""
        return self._before + self._notes(name)

    def _notes(self, note: bytes) -> bytes:
        if self.form == "png":
            data = b"tEXt" + b"id\0" + note
            return (len(data) - 4).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
        parts = [note[at : at + 65_000] for at in range(0, len(note), 65_000)]
        return b"".join(b"\xff\xfe" + (len(part) + 2).to_bytes(2, "big") + part for part in parts)


def _flat(form: str, shape: tuple[int, int]) -> bytes:
    small = form == "png" and shape == SHAPE
    return _saved(Image.new("P" if small else "RGB", shape), form)


def _noise(form: str, shape: tuple[int, int]) -> bytes:
    """Smooth colours with grain: about 1.5 MB as a PNG, about 100 KB as a JPEG."""
    chance = random.Random(7)
    base = Image.frombytes("RGB", (44, 24), chance.randbytes(44 * 24 * 3)).resize(shape, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(shape, 24 if form == "png" else 6).convert("RGB")
    return _saved(Image.blend(base, grain, 0.12), form)


def _saved(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


class Service:
    """latency: seconds from submit to success. file_rate: bytes per second of each file body, None for all at once."""

    def __init__(self, pictures: Pictures, latency: float, file_rate: float | None) -> None:
        self.pictures = pictures
        self.latency = latency
        self.file_rate = file_rate
        self.origin = ""
        self.rest = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process lives
        self.rest.write(pictures.rest)
        self.rest.flush()
        self.counts: Counter[str] = Counter()
        self.starts: list[float] = []  # moments of submits
        self._chance = random.Random(time.time_ns())

    def answer(self, method: bytes, path: bytes) -> tuple[bytes, bytes]:
        """Body and media type."""
        if path.startswith(b"/files/"):
            self.counts["files"] += 1
            return self.pictures.of(path[7:43]), b"image/" + self.pictures.form.encode()
        return json.dumps(self._json(method, path.decode())).encode(), b"application/json"

    def _json(self, method: bytes, path: str) -> object:
        if path.startswith("/v1/models/"):
            return self._submitted() if method == b"POST" else _catalogue()
        if path == "/counts":
            return {**self.counts, "starts": self.starts}
        request, verb = path[13:49], path[50:].partition("?")[0]
        self.counts[verb] += 1
        if time.time() - int(request[:8] + request[9:13], 16) / 1000 < self.latency:
            return {"request_id": request, "status": "in_progress"}
        if verb == "status":
            return {"request_id": request, "status": "completed"}
        link = f"{self.origin}/files/{request}.{self.pictures.form}"
        return {"request_id": request, "status": "completed", "output": {"image": link}, "cost": 0.02}

    def _submitted(self) -> object:
        now = time.time()
        self.counts["submits"] += 1
        self.starts.append(now)
        moment, rest = f"{int(now * 1000):012x}", f"{self._chance.getrandbits(80):020x}"
        return {"request_id": f"{moment[:8]}-{moment[8:]}-{rest[:4]}-{rest[4:8]}-{rest[8:]}", "status": "in_queue"}


def _catalogue() -> object:
    text = {"type": "string"}
    ratios = ["1:1", "9:16", "16:9", "3:4", "4:3"]
    inputs = {"prompt": text, "negative_prompt": text, "seed": {"type": "integer"}, "aspect_ratio": {"enum": ratios}}
    schema = {"type": "object", "properties": inputs, "required": ["prompt"]}
    return {"model_id": MODEL, "input_schema": schema, "base_price_usd": 0.02, "price_unit": "output"}


class Connection(asyncio.Protocol):
    """One client connection; requests are taken one after the other, as they come."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._held = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        self._next()

    def _next(self) -> None:
        while not self._busy and (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end]
            whole = end + 4 + _length(head)
            if len(self._held) < whole:
                return
            self._held = self._held[whole:]
            method, path, _ = head.split(b" ", 2)
            service = self._service
            if path.startswith(b"/files/") and service.file_rate is None and len(service.pictures.rest) > BIG:
                self._send_big(path)
            else:
                self._respond(path, *service.answer(method, path))

    def _respond(self, path: bytes, body: bytes, media_type: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (media_type, len(body))
        rate = self._service.file_rate
        if rate is None or not path.startswith(b"/files/"):
            self._transport.write(head + body)
            return
        self._busy = True
        self._transport.write(head)
        self._trickle(body, 0, rate)

    def _send_big(self, path: bytes) -> None:
        """As file servers do it, without a copy: one that is slow would hide what its client costs."""
        self._service.counts["files"] += 1
        pictures, self._busy = self._service.pictures, True
        begin = pictures.begin(path[7:43])
        size = len(begin) + len(pictures.rest)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/%b\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (pictures.form.encode(), size) + begin)
        loop = asyncio.get_running_loop()
        sending = loop.create_task(loop.sendfile(self._transport, self._service.rest, 0, len(pictures.rest)))
        sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Task[int]) -> None:
        if not sending.cancelled() and sending.exception() is None:
            self._busy = False
            self._next()

    def _trickle(self, body: bytes, at: int, rate: float) -> None:
        if at >= len(body) or self._transport.is_closing():
            self._busy = False
            self._next()
            return
        self._transport.write(body[at : at + CHUNK])
        asyncio.get_running_loop().call_later(CHUNK / rate, self._trickle, body, at + CHUNK, rate)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return 0 if at < 0 else int(lower[at + 17 :].split(b"\r\n", 1)[0])


async def _serve(service: Service) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=4096)
    service.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(service.origin, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started us ends, however


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The service in a process of its own; gives its origin (``/v1`` is the API)."""
    command = [sys.executable, "-m", "tests.benchmarks.service", *arguments]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.stdin.close()
            child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=["png", "jpeg"], default="png")
    parser.add_argument("--size", type=int, default=20_000, help="bytes of a picture, at least")
    parser.add_argument("--noisy", action="store_true", help="a picture with detail, instead of padding")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that a job runs")
    parser.add_argument("--file-rate", type=float, help="bytes per second of each file")
    arguments = parser.parse_args()
    service = Service(
        Pictures(arguments.form, arguments.size, noisy=arguments.noisy), arguments.latency, arguments.file_rate
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(service))


if __name__ == "__main__":
    main()
