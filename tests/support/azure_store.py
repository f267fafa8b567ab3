"""Azure Blob Storage on loopback: Azurite, Microsoft's own emulator, where npm has installed it."""

import base64
import contextlib
import hashlib
import hmac
import shutil
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.needs import lacks
from tests.support.object_store import free_ports

ACCOUNT, KEY = "devstoreaccount1", base64.b64encode(b"a key of this test").decode()


@contextlib.contextmanager
def azure_store(folder: Path, container: str) -> Iterator[dict[str, str]]:
    """Gives the environment that a client needs. Skips the test where there is no such program."""
    program = shutil.which("azurite-blob")
    if program is None:
        lacks("azure", "azurite is not installed (npm install azurite): no Azure server to test against")
        return
    (port,) = free_ports(1)
    command = [program, "--blobPort", str(port), "--location", str(folder), "--silent", "--disableTelemetry"]
    with (folder / "azurite.log").open("wb") as log:
        environment = {"PATH": str(Path(program).parent) + ":/usr/local/bin:/usr/bin:/bin"}
        environment["AZURITE_ACCOUNTS"] = f"{ACCOUNT}:{KEY}"
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _make(container, port, process)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
        }  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)


def _make(container: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """The container, as soon as the server answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        named = "".join(f"{name}:{value}\n" for name, value in headers.items())
        text = f"PUT{12 * chr(10)}{named}/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        signed = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
        with contextlib.suppress(OSError), contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection:
            path = f"/{ACCOUNT}/{container}?restype=container"
            connection.request("PUT", path, headers={**headers, "Authorization": f"SharedKey {ACCOUNT}:{signed}"})
            assert connection.getresponse().status == 201
            return
        time.sleep(0.2)
    pytest.fail(f"azurite did not answer within a minute (it ended with {process.poll()})")
