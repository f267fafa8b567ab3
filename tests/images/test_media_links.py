"""Links to inputs: who may be asked to fetch them, how long they live, and that nobody repeats their signatures."""

import asyncio
import hashlib
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from batcher.client.api import Api
from batcher.core.errors import CallError, DiskError, UsageError
from batcher.images.media_links import MediaLinks
from batcher.manifest.schema.media_files import Unusable
from batcher.store.media import Media, Source
from tests.support.object_store import ObjectStore, obstore
from tests.support.rude_server import answer, serving

CONTENT = Media("ab" * 32, 10, "image/png")
BASE = "https://bucket.example.com/inputs/"
LINK = f"{BASE}sha256/ab/abab.png?X-Amz-Credential=key%2Fday&X-Amz-Signature=c0ffee"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "http://store.example.com", "https://10.0.0.7", "https://minio.internal"]
)
@pytest.mark.usefixtures("keys")
def test_a_bucket_that_the_service_can_not_reach_is_refused_unless_the_service_is_here(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    place = "s3://inputs/x"
    with pytest.raises(UsageError, match="--media") as caught:
        MediaLinks(place, 3_600.0, is_here=False).links_into(place)
    assert "AWS_ENDPOINT_URL" in caught.value.hint
    assert MediaLinks(place, 3_600.0, is_here=True).links_into(place).startswith(endpoint)


@pytest.mark.usefixtures("keys")
def test_a_link_is_to_the_content_and_lives_as_long_as_it_may() -> None:
    links = MediaLinks("s3://inputs/x", 30 * 86_400.0, is_here=False)
    assert links.links_into("s3://inputs/x").startswith("https://")
    link = links.link(CONTENT)
    assert f"/sha256/ab/{'ab' * 32}.png" in urlsplit(link).path
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(7 * 86_400)]


@pytest.mark.usefixtures("keys")
def test_credentials_of_a_session_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    links = MediaLinks("s3://inputs/x", 3_600.0, is_here=False)
    assert links.warning(0.0) is None
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    assert "session" in str(links.warning(0.0))
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "1970-01-01T00:30:00Z")
    assert "30 min" in str(links.warning(0.0))
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "1970-01-03T00:00:00Z")
    assert links.warning(0.0) is None


@pytest.fixture
def file(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "cat.png"
    path.write_bytes(b"a picture")
    obstore.put(server.store("inputs"), "warm-up", b"a")
    return path


def described(path: Path, **more: Any) -> tuple[Media, Source]:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    return Media(sha256, size, "image/png", **more), Source(str(path), sha256, size, "")


def test_an_object_that_was_changed_is_never_linked_to_in_the_place_of_what_was_read(
    server: ObjectStore, file: Path
) -> None:
    obstore.put(server.store("inputs"), "theirs.png", b"another picture")
    content, source = described(file, place="s3://inputs/theirs.png", version="as it was")
    with pytest.raises(Unusable, match="has changed since it was read"):
        MediaLinks(None, 60.0, is_here=True).prepare(content, [source])
    links = MediaLinks("s3://inputs/changed", 60.0, is_here=True)
    again = links.prepare(content, [source])
    with urllib.request.urlopen(links.link(again)) as answer:
        assert answer.read() == b"a picture"
        assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"edited pi")])
def test_a_file_that_went_or_changed_since_it_was_read_is_not_uploaded(
    server: ObjectStore, file: Path, change: Callable[[Path], Any]
) -> None:
    content, source = described(file)
    change(file)
    with pytest.raises(Unusable, match="since it was read"):
        MediaLinks("s3://inputs/gone", 60.0, is_here=True).prepare(content, [source])


def test_other_bytes_under_the_name_of_a_content_are_refused(server: ObjectStore, file: Path) -> None:
    content, source = described(file)
    name = f"junk/sha256/{content.sha256[:2]}/{content.sha256}.png"
    obstore.put(server.store("inputs"), name, b"junk")
    with pytest.raises(DiskError, match="other bytes than its name says"):
        MediaLinks("s3://inputs/junk", 60.0, is_here=True).prepare(content, [source])


REPEATED = [
    answer({"detail": [{"loc": ["input", "image"], "msg": f"can't fetch {LINK}", "input": LINK}]}, 422),
    answer(json.dumps({"detail": f"can't fetch {LINK}"}).replace("/", "\\/").encode(), 400),
    answer(json.dumps({"detail": f"can't fetch {LINK}"}).replace("&", "\\u0026").encode(), 400),
    answer(f"<html>{LINK}</html>".encode(), 502),
]


@pytest.mark.parametrize("reply", REPEATED)
def test_what_the_service_repeats_of_a_link_loses_its_signature(reply: Any) -> None:
    async def main() -> None:
        async with serving(reply) as rude, Api(rude.base_url, "a-token-of-length") as api:
            api.hide_queries(BASE)
            with pytest.raises(CallError) as caught:
                await api.submit("vendor/name/task", {"image": LINK})
            assert "c0ffee" not in str(caught.value)
            assert "X-Amz" not in str(caught.value)

    asyncio.run(main())


def test_links_to_results_keep_theirs() -> None:
    elsewhere = "https://results.example.com/a.png?X-Amz-Signature=theirs"

    async def main() -> None:
        async with (
            serving(answer({"status": "completed", "output": {"image": elsewhere}})) as rude,
            Api(rude.base_url, "a-token-of-length") as api,
        ):
            api.hide_queries(BASE)
            polled: Any = await api.poll("r-1")
            assert polled.urls == (elsewhere,)

    asyncio.run(main())
