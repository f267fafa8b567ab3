"""Manifests that are URLs: fetched whole and bounded, from hosts that may be rude, and resumed when they are gone."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from batcher.core.errors import UsageError
from batcher.images import remote_file

SECRET = "X-Amz-Signature=c0ffee"


class Host(BaseHTTPRequestHandler):
    """files: by path. Anything else is 404; what a path asks for by its name is done."""

    files: ClassVar[dict[str, bytes]] = {}
    seen: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.path)
        path = self.path.partition("?")[0]
        if path in self.files:
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(self.files[path])))
            self.end_headers()
            self.wfile.write(self.files[path])
            return
        target = {
            "/moved.csv": "/m.csv", "/private.csv": "https://192.168.0.1/m.csv", "/file.csv": "file:///etc/passwd",
            "/circle.csv": "/circle.csv",
        }.get(path)  # fmt: skip
        self.send_response(302 if target else 404)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Web:
    def __init__(self, folder: Path, root: str, files: dict[str, bytes], seen: list[str]) -> None:
        self.folder, self.root, self.files, self.seen = folder, root, files, seen

    def batcher(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "batcher", *map(str, words)], env={**os.environ, **environment},
            capture_output=True, text=True, timeout=120, check=False, cwd=self.folder,
        )  # fmt: skip

    def run(self, path: str, *words: object) -> subprocess.CompletedProcess[str]:
        return self.batcher("run", self.root + path, "--simulate", "--rate", "200/s", *words)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    class Here(Host):
        files: ClassVar[dict[str, bytes]] = {"/m.csv": b"prompt\na red kite\na heron\n"}
        seen: ClassVar[list[str]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Web(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", Here.files, Here.seen)
        server.shutdown()


def report(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "report.json").read_bytes())
    return facts


def test_a_url_is_a_manifest_and_the_same_command_is_the_resume(web: Web) -> None:
    done = web.run("/m.csv")
    assert done.returncode == 0, done.stderr
    run = web.folder / "runs" / "m"
    assert report(run)["done"] == 2
    source = json.loads(next((run / "images").rglob("*.json")).read_bytes())["source"]["manifest"]
    assert source == f"{web.root}/m.csv"
    web.files["/m.csv"] += b"an owl\n"
    assert web.run("/m.csv").returncode == 0
    assert (report(run)["submits"], report(run)["done"]) == (1, 3)


def test_a_url_that_is_gone_or_has_expired_is_resumed_from_the_copy_and_that_is_said(web: Web) -> None:
    assert web.run("/m.csv", "--limit", 1).returncode == 4
    del web.files["/m.csv"]
    again = web.run("/m.csv")
    assert again.returncode == 0, again.stderr
    assert "HTTP 404: the copy of the last start is used" in again.stderr
    assert report(web.folder / "runs" / "m")["done"] == 2
    by_name = web.batcher("run", "runs/m")
    assert by_name.returncode == 0, by_name.stderr


def test_the_signature_of_a_link_is_kept_nowhere_and_said_nowhere(web: Web) -> None:
    log = web.folder / "log.jsonl"
    done = web.run(f"/m.csv?{SECRET}", "--log", log)
    assert done.returncode == 0, done.stderr
    assert web.seen == [f"/m.csv?{SECRET}"]
    missing = web.run(f"/gone.csv?{SECRET}", "--log", log)
    assert missing.returncode == 69
    spoken = (done.stdout + done.stderr + missing.stdout + missing.stderr).encode()
    kept = [path.read_bytes() for path in web.folder.rglob("*") if path.is_file()]
    assert not [text for text in (*kept, spoken) if b"c0ffee" in text]


def test_a_query_without_a_secret_is_part_of_the_url(web: Web) -> None:
    assert web.run("/m.csv?gid=7&format=csv").returncode == 0
    assert web.batcher("run", "runs/m").returncode == 0
    assert web.seen[-1] == "/m.csv?gid=7&format=csv"


def test_an_error_in_it_names_the_url_and_the_place(web: Web) -> None:
    web.files["/bad.csv"] = b"prompt,seed\na,7\nb,x\n"
    refused = web.run("/bad.csv")
    assert refused.returncode == 65
    assert f"{web.root}/bad.csv:3:3: `seed`" in refused.stderr


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/nothing.csv", "HTTP 404"),
        ("/private.csv", "not public"),
        ("/file.csv", "redirects to"),
        ("/circle.csv", "without end"),
    ],
)
def test_a_host_that_does_not_give_it_ends_the_run_with_69(web: Web, path: str, word: str) -> None:
    refused = web.run(path)
    assert refused.returncode == 69
    assert word in refused.stderr
    assert not list(web.folder.rglob("state.db"))


def test_a_redirect_on_the_same_host_is_followed(web: Web) -> None:
    assert web.run("/moved.csv").returncode == 0


def test_plain_http_is_for_this_machine_alone(web: Web) -> None:
    refused = web.batcher("run", "http://example.com/m.csv", "--simulate")
    assert refused.returncode == 64
    assert "https" in refused.stderr


def test_it_reads_no_file_of_this_machine(web: Web, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret\n")
    web.files["/m.yaml"] = f"prompts: [{{file: {secret}}}, x]\ndynamic: {{wildcards: {tmp_path}}}\n".encode()
    refused = web.run("/m.yaml")
    assert refused.returncode == 65
    assert refused.stderr.count("can't name files on this machine") == 2
    web.files["/m.csv"] = f"prompt,image\na,{secret}\n".encode()
    model = ["--model", "bytedance/seedream-5.0-pro/image-to-image", "--set", "aspect_ratio=1:1"]
    refused = web.run("/m.csv", *model, "--media", "s3://nowhere/x")
    assert refused.returncode == 65
    assert "can't use one" in refused.stderr


def test_an_endless_file_is_refused_at_the_bound(web: Web, tmp_path: Path) -> None:
    web.files["/large.csv"] = b"x" * 2_000
    with pytest.raises(UsageError, match="more than"):
        asyncio.run(remote_file.fetch(f"{web.root}/large.csv", tmp_path / "kept", 1_000))
    assert (tmp_path / "kept").stat().st_size <= 1_000
