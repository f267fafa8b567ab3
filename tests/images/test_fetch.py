"""Every way a download can end, over real sockets, and what it leaves on disk."""

import asyncio
import contextlib
import hashlib
import json
import os
import stat
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import FileError, FileRefused, FileUnavailable, LinkDead
from batcher.core.job import Artifact
from batcher.images.body import IN_MEMORY
from batcher.images.check import CheckDepth, Limits
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from tests.support.file_host import answer, describe, fetch, file_host, files, huge_png, picture

BIG = picture(800, 800)  # noise does not compress: over a megabyte


def test_an_image_lands_whole_with_its_sidecar_beside_it(tmp_path: Path) -> None:
    body = picture(48, 27)
    artifact = fetch(tmp_path, answer(body), wanted_ratio="16:9")
    assert files(tmp_path) == ["images/x/picture.json", "images/x/picture.png"]
    assert (tmp_path / artifact.file).read_bytes() == body
    assert artifact == Artifact(
        file="images/x/picture.png",
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        mime="image/png",
        width=48,
        height=27,
        url=artifact.url,
        output_index=0,
        output_count=1,
        downloaded_at=1e9,
    )
    text = (tmp_path / "images/x/picture.json").read_text("utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["downloaded_at"] == "2001-09-09T01:46:40.000Z"
    assert list(json.loads(text)) == ["job", "file", "sha256", "downloaded_at"]


def test_a_big_body_goes_through_a_temp_file_and_lands_the_same(tmp_path: Path) -> None:
    assert len(BIG) > IN_MEMORY
    artifact = fetch(tmp_path, answer(BIG))
    assert (tmp_path / artifact.file).read_bytes() == BIG
    assert artifact.sha256 == hashlib.sha256(BIG).hexdigest()
    assert (artifact.width, artifact.height) == (800, 800)
    assert files(tmp_path) == ["images/x/picture.json", "images/x/picture.png"]


@pytest.mark.parametrize("body", [picture(), BIG], ids=["small", "big"])
def test_files_and_folders_have_the_permissions_that_the_umask_gives(tmp_path: Path, body: bytes) -> None:
    before = os.umask(0o027)
    try:
        artifact = fetch(tmp_path, answer(body))
    finally:
        os.umask(before)
    for path, mode in [(artifact.file, 0o640), ("images/x/picture.json", 0o640), ("images/x", 0o750)]:
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode


@pytest.mark.parametrize(
    ("form", "extension", "mime"),
    [
        ("PNG", "png", "image/png"),
        ("JPEG", "jpg", "image/jpeg"),
        ("WEBP", "webp", "image/webp"),
        ("GIF", "gif", "image/gif"),
    ],
)
@pytest.mark.parametrize("check", ["decode", "structure", "none"])
def test_the_extension_comes_from_the_bytes(
    tmp_path: Path, form: str, extension: str, mime: str, check: CheckDepth
) -> None:
    wrong = {"Content-Type": "text/html"}
    artifact = fetch(tmp_path, answer(picture(40, 30, form=form), headers=wrong), check=check)
    assert artifact.file == f"images/x/picture.{extension}"
    assert (artifact.mime, artifact.width, artifact.height) == (mime, 40, 30)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_link_is_told_from_other_failures(tmp_path: Path, status: int) -> None:
    with pytest.raises(LinkDead) as caught:
        fetch(tmp_path, answer(status=status))
    assert caught.value.cause.http_status == status
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 204, 206, 304])
def test_what_may_pass_is_unavailable(tmp_path: Path, status: int) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(status=status))
    assert caught.value.cause.kind == f"http_{status}"
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), (formatdate(1e9 + 90, usegmt=True), 90.0), (formatdate(1e9 - 90, usegmt=True), 0.0), ("soon", None)],
)
def test_the_host_says_when_to_come_back(tmp_path: Path, header: str, seconds: float | None) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(status=503, headers={"Retry-After": header}))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [400, 401, 405, 414, 451])
def test_other_refusals_are_final(tmp_path: Path, status: int) -> None:
    with pytest.raises(FileRefused):
        fetch(tmp_path, answer(status=status))


@pytest.mark.parametrize("body", [picture(), BIG], ids=["small", "big"])
@pytest.mark.parametrize("missing", [1, 100])
def test_a_body_shorter_than_announced_is_not_kept(tmp_path: Path, body: bytes, missing: int) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(body[:-missing], length=len(body)))
    assert caught.value.cause.kind == "short_body"
    assert files(tmp_path) == []


def test_bytes_after_the_announced_end_never_get_into_the_file(tmp_path: Path) -> None:
    body = picture()
    with contextlib.suppress(FileUnavailable):  # the HTTP library may take the whole answer for garbled
        fetch(tmp_path, answer(body + b"garbage", length=len(body)))
    assert all((tmp_path / name).read_bytes() == body for name in files(tmp_path) if name.endswith(".png"))


def test_a_body_without_a_length_is_kept_when_it_is_whole(tmp_path: Path) -> None:
    assert fetch(tmp_path, answer(picture(), length=None)).width == 32


@pytest.mark.parametrize("check", ["decode", "structure"])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("missing", [2, 300])
def test_a_cut_body_without_a_length_is_not_kept(tmp_path: Path, check: CheckDepth, form: str, missing: int) -> None:
    body = picture(64, 64, form=form)
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(body[:-missing], length=None), check=check)
    assert caught.value.cause.kind == "bad_picture"
    assert files(tmp_path) == []


def test_a_big_cut_body_leaves_no_temp_file(tmp_path: Path) -> None:
    with pytest.raises(FileUnavailable):
        fetch(tmp_path, answer(BIG[:-100], length=None))
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><p>Sorry",
        b' {"error": "busy"}',
        b"\xef\xbb\xbf<?xml?>",
        b"Access denied",
        b"<" * 2_000_000,
    ],
    ids=["empty", "html", "json", "xml", "text", "long"],
)
@pytest.mark.parametrize("check", ["decode", "none"])
def test_a_page_in_place_of_an_image_may_pass(tmp_path: Path, body: bytes, check: CheckDepth) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(body, headers={"Content-Type": "image/png"}), check=check)
    assert caught.value.cause.kind == "not_a_picture"
    assert files(tmp_path) == []


def test_a_host_that_goes_silent_times_out(tmp_path: Path) -> None:
    async def silent(writer: Any) -> None:
        writer.write(answer(BIG[: IN_MEMORY + 70_000], length=len(BIG)))
        await writer.drain()
        await asyncio.sleep(30)

    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, silent, limits=Limits(read_timeout=0.2))
    assert caught.value.cause.kind == "timeout"
    assert files(tmp_path) == []


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 banana\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_a_host_that_speaks_no_http_may_pass(tmp_path: Path, reply: bytes) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, reply)
    assert caught.value.cause.kind == "connection"
    assert caught.value.cause.message.isprintable()


def test_a_host_that_is_not_there_may_pass(tmp_path: Path) -> None:
    with pytest.raises(FileUnavailable):
        fetch(tmp_path, answer(status=302, headers={"Location": "http://127.0.0.1:1/file"}))


def redirect(to: str, status: int = 302) -> bytes:
    return answer(status=status, headers={"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inside_the_trusted_hosts_is_followed(tmp_path: Path, status: int) -> None:
    more = {"/a/b%3D%3D?c=%2F": answer(picture())}
    assert fetch(tmp_path, redirect("/a/b%3D%3D?c=%2F", status), more=more).width == 32


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/file",
        "//evil.example/file",
        "http://localhost/file",
        "file:///etc/passwd",
        "\\\\evil",
        "data:,x",
    ],
)
def test_a_redirect_out_of_the_trusted_hosts_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, redirect(location))
    assert caught.value.cause.kind == "untrusted_host"


def test_five_redirects_are_followed_and_six_are_not(tmp_path: Path) -> None:
    hops = {f"/{at}": redirect(f"/{at + 1}") for at in range(1, 5)}
    assert fetch(tmp_path, redirect("/1"), more={**hops, "/5": answer(picture())}).width == 32
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, redirect("/file"))
    assert caught.value.cause.kind == "redirects"


def test_a_redirect_that_leads_nowhere_may_pass(tmp_path: Path) -> None:
    with pytest.raises(FileUnavailable):
        fetch(tmp_path, answer(status=302))


def test_a_request_carries_no_token_no_cookie_and_the_path_as_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("RUNCOMFY_TOKEN", "secret")
    path = "/A%3d%3D/ö%20b/output?sig=%2B+&x"
    answered = answer(picture(), headers={"Set-Cookie": "a=b"})

    async def main() -> list[str]:
        routes = {path.replace("ö", "%C3%B6"): answered}
        async with file_host(routes) as host, Downloader(tmp_path, trust=Trust(["127.0.0.1"])) as loader:
            for name in ("one", "two"):
                await loader.fetch(host.url(path + "#fragment"), path=name, describe=describe)
            return host.requests

    requests = asyncio.run(main())
    assert len(requests) == 2
    for request in requests:
        assert not {"authorization", "cookie", "referer"} & {
            line.split(":")[0].lower() for line in request.split("\r\n")
        }
        assert "secret" not in request


@pytest.mark.parametrize(
    ("body", "wanted", "warning"),
    [
        (picture(64, 64), "16:9", "asked for 16:9, got 64x64"),
        (picture(64, 63), "1:1", None),
        (picture(64, 57), "1:1", "asked for 1:1, got 64x57"),
        (picture(64, 64), "square_hd", None),
        (picture(64, 64), "1:0", None),
        (picture(noise=0), None, "one colour all over"),
        (picture(mode="L"), None, None),
        (picture(form="GIF"), None, None),
        (huge_png(16, 16), None, "all black"),
    ],
)
def test_an_odd_image_is_kept_with_a_warning(
    tmp_path: Path, body: bytes, wanted: str | None, warning: str | None
) -> None:
    assert fetch(tmp_path, answer(body), wanted_ratio=wanted).warning == warning


def test_a_file_of_another_job_is_never_overwritten(tmp_path: Path) -> None:
    def other(artifact: Artifact) -> dict[str, Any]:
        return {**describe(artifact), "job": "b" * 32}

    first, second = picture(), picture(64, 64)
    fetch(tmp_path, answer(first))
    again = fetch(tmp_path, answer(first))
    assert again.file == "images/x/picture.png"
    moved = fetch(tmp_path, answer(second), describe=other)
    assert moved.file == "images/x/picture_bbbbbbbbbb.png"
    assert (tmp_path / again.file).read_bytes() == first
    assert json.loads((tmp_path / "images/x/picture_bbbbbbbbbb.json").read_text())["file"] == moved.file


def test_half_a_surrogate_pair_in_a_sidecar_survives(tmp_path: Path) -> None:
    def odd(artifact: Artifact) -> dict[str, Any]:
        return {"prompt": "a\ud800b 木", "file": artifact.file}

    fetch(tmp_path, answer(picture()), describe=odd)
    text = (tmp_path / "images/x/picture.json").read_text("utf-8")
    assert json.loads(text)["prompt"] == "a\ud800b 木"
    assert "木" in text


@pytest.mark.parametrize("url", ["", "x", "https://runcomfy.net.evil.com/x", "file:///etc/passwd"])
def test_an_untrusted_link_is_refused_without_a_request(tmp_path: Path, url: str) -> None:
    async def main() -> None:
        async with Downloader(tmp_path, trust=Trust()) as loader:
            await loader.fetch(url, path="a", describe=describe)

    with pytest.raises(FileError) as caught:
        asyncio.run(main())
    assert caught.value.cause.kind == "untrusted_host"
    assert files(tmp_path) == []
