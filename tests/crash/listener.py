"""``batcher`` that notes each submit when its bytes are handed to the system, and each answer when its bytes are read.

    python -m tests.crash.listener NOTES run manifest.yaml ...

NOTES gets a line each: ``left``, or the request id.
"""

import os
import re
import sys
from collections.abc import Iterable

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_writer import StreamWriter

from batcher.__main__ import main

_ANSWER = re.compile(rb'"request_id": ?"([^"]+)", ?"status_url"')


def listen(notes: int) -> None:
    """The product has no hooks for this."""
    read, write = ResponseHandler.data_received, StreamWriter._writelines

    def reading(self: ResponseHandler, data: bytes) -> None:
        if answer := _ANSWER.search(data):
            os.write(notes, answer[1] + b"\n")
        read(self, data)

    def writing(self: StreamWriter, chunks: Iterable[bytes]) -> None:
        chunks = list(chunks)
        write(self, chunks)
        if chunks[0].startswith(b"POST /v1/models/"):
            os.write(notes, b"left\n")

    ResponseHandler.data_received = reading  # type: ignore[method-assign]
    StreamWriter._writelines = writing  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    listen(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    sys.argv = ["batcher", *sys.argv[2:]]
    sys.exit(main())
