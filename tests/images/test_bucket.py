"""Pictures in object storage: created where none stand, found again, refused in words; in stores of each kind."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import DiskError, UsageError
from batcher.core.job import Artifact
from batcher.images import objects, storage
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from batcher.store.files.place import Taken
from batcher.store.files.safe_reader import Absent, Outside
from tests.support.file_host import answer, file_host, picture
from tests.support.object_store import ObjectStore, Proxy, proxied

ONE, TWO = {"job": "a" * 32}, {"job": "b" * 32}


@pytest.fixture(params=["file", "s3", "gs", "az"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket that belongs to the run in tmp_path."""
    if request.param == "file":
        url = f"file://{tmp_path}/bucket"
    else:
        for name, value in request.getfixturevalue(request.param).items():
            monkeypatch.setenv(name, value)
        url = f"{request.param}://tests/{tmp_path.parent.name}-{tmp_path.name}".lower().replace("_", "-")
    storage.claim(tmp_path, url)
    return storage.bucket(tmp_path, url)


def files(place: Any) -> dict[str, int]:
    return dict(place.objects())


def test_an_image_and_its_sidecar_are_there_when_put_comes_back(place: Any, tmp_path: Path) -> None:
    place.put("x/a", "png", b"picture", ONE)
    assert set(files(place)) == {"x/a.png", "x/a.json"}
    with storage.reader_of(tmp_path).reading("images/x/a.json") as sidecar:
        assert json.loads(bytes(sidecar)) == ONE


def test_doing_it_again_changes_nothing_and_new_bytes_of_the_same_job_replace_the_old(place: Any) -> None:
    place.put("a", "png", b"picture", ONE)
    place.put("a", "png", b"picture", ONE)
    place.put("a", "png", b"another", ONE)
    assert place.get("a.png") == b"another"
    assert set(files(place)) == {"a.png", "a.json"}


def test_what_belongs_to_another_job_is_never_touched(place: Any) -> None:
    place.put("a", "png", b"picture", ONE)
    for extension in ("png", "jpg"):  # the second one's picture has a name that is free, and its sidecar has not
        with pytest.raises(Taken):
            place.put("a", extension, b"intruder", TWO)
    assert files(place) == {"a.png": 7, "a.json": len(place.get("a.json"))}


def test_a_body_that_lies_in_a_file_is_put_too(place: Any, tmp_path: Path) -> None:
    temp = place.temp("x/a")
    temp.write_bytes(b"big" * 1_000_000)
    place.put("x/a", "png", temp, ONE)
    assert files(place)["x/a.png"] == 3_000_000


def test_reading_follows_recorded_names_and_no_others(place: Any, tmp_path: Path) -> None:
    place.put("a", "png", b"picture", ONE)
    reader = storage.reader_of(tmp_path)
    assert [[seen.file for seen in objects] for objects in reader.walk()] == [["images/a.json", "images/a.png"]]
    with pytest.raises(Absent), reader.reading("images/b.png"):
        pass
    for name in ("images/../state.db", "state.db", "images/"):
        with pytest.raises(Outside), reader.reading(name):
            pass
    assert storage.present(tmp_path)("images/a.png")
    assert not storage.present(tmp_path)("images/b.png")


def test_what_is_moved_aside_is_kept_and_never_listed(place: Any) -> None:
    for content in (b"one", b"two"):
        place.put("a", "png", content, ONE)
        assert place.move_to_lost_and_found("images/a.png")
    assert set(files(place)) == {"a.json"}
    assert place.move_to_lost_and_found("images/a.png") is None


def test_a_local_copy_is_made_once_and_only_of_the_recorded_bytes(place: Any, tmp_path: Path) -> None:
    import hashlib  # noqa: PLC0415

    place.put("a", "png", b"picture", ONE)
    path = storage.local(tmp_path, "images/a.png", hashlib.sha256(b"picture").hexdigest())
    assert path.read_bytes() == b"picture"
    assert not storage.local(tmp_path, "images/a.png", "0" * 64).exists()
    assert storage.local(tmp_path, "images/a.png").read_bytes() == b"picture"
    place.put("a", "png", b"another", ONE)
    assert storage.local(tmp_path, "images/a.png").read_bytes() == b"another"


def test_a_place_of_another_run_is_refused(place: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UsageError, match="another run"):
        storage.claim(other, place.url)
    assert storage.url_of(other) is None
    storage.claim(tmp_path, None)  # the owner comes back without saying where
    with pytest.raises(UsageError, match="are in"):
        storage.claim(tmp_path, f"file://{tmp_path}/elsewhere")


def test_a_run_with_images_of_its_own_stays_with_them(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="own folder"):
        storage.claim(tmp_path, f"file://{tmp_path}/bucket")


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "bucket/x",
        "http://h/x",
        "s3://key:secret@bucket/x",
        "s3://b/x?sig=1",
        "file://x/y",
        "s3://b/a b",
    ],
)
def test_what_is_no_place_is_refused_and_no_secret_is_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError) as caught:
        storage.claim(tmp_path, url)
    assert "secret" not in str(caught.value.message)
    assert not (tmp_path / "images.url").exists()


def test_a_fetch_puts_into_the_bucket_and_leaves_nothing_here(place: Any, tmp_path: Path) -> None:
    small, big = picture(), picture(800, 800)  # noise: over a megabyte

    def describe(artifact: Artifact) -> dict[str, Any]:
        return {**ONE, "file": artifact.file}

    async def main() -> list[Artifact]:
        async with (
            file_host({"/small": answer(small), "/big": answer(big)}) as host,
            Downloader(place, trust=Trust(["127.0.0.1"])) as loader,
        ):
            return [await loader.fetch(host.url(f"/{name}"), path=name, describe=describe) for name in ("small", "big")]

    assert [artifact.file for artifact in asyncio.run(main())] == ["images/small.png", "images/big.png"]
    assert place.get("big.png") == big
    assert not list((tmp_path / "uploads").glob("*")) if (tmp_path / "uploads").exists() else True
    assert not (tmp_path / "images").exists()


def test_a_name_that_was_wrong_can_be_corrected(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(DiskError, match="taken"):
        storage.claim(tmp_path, f"file://{tmp_path}/taken")
    storage.claim(tmp_path, f"file://{tmp_path}/bucket")
    assert storage.url_of(tmp_path) == f"file://{tmp_path}/bucket"


@pytest.mark.parametrize(
    ("url", "words"),
    [("s3://tests/x", "aws configure export-credentials"), ("az://tests/x", "AZURE_STORAGE_ACCOUNT_NAME")],
)
def test_who_has_no_credentials_is_told_which_to_set(
    url: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)

    def nobody(*_: object) -> None:
        raise OSError("no machine's role here")

    monkeypatch.setattr("batcher.images.objects.socket.create_connection", nobody)
    with pytest.raises((DiskError, UsageError)) as caught:
        storage.claim(tmp_path, url)
    assert words in str(caught.value.hint)


@pytest.mark.parametrize(
    ("environment", "bucket", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "tests", "403 Forbidden: SignatureDoesNotMatch"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "tests", "127.0.0.1:1 can't be reached (Connection refused)"),
        ({}, "never-made", "404 Not Found: NoSuchBucket"),
    ],
)
def test_what_a_store_says_is_said_once_and_in_a_line(
    environment: dict[str, str], bucket: str, words: str, server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**server.environment, **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(objects._RETRIES, "max_retries", 0)
    with pytest.raises(DiskError) as caught:
        objects.Objects(f"s3://{bucket}/x").names("y")
    assert words in caught.value.message
    assert caught.value.message.startswith(f"s3://{bucket}/x/y: ")
    assert "performing" not in caught.value.message


@pytest.fixture
def proxy(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Proxy]]:
    with proxied(server) as (rude, endpoint):
        for name, value in {**server.environment, "AWS_ENDPOINT_URL": endpoint}.items():
            monkeypatch.setenv(name, value)
        yield rude


def test_a_store_that_ignores_conditional_puts_is_refused_before_anything_is_paid(
    proxy: type[Proxy], tmp_path: Path
) -> None:
    proxy.rude = "ignores conditions"
    with pytest.raises(UsageError, match="ignores conditional puts"):
        storage.claim(tmp_path, "s3://tests/careless")
    assert not (tmp_path / "images.url").exists()


def test_a_put_whose_answer_was_lost_is_found_to_be_done(proxy: type[Proxy], tmp_path: Path) -> None:
    storage.claim(tmp_path, "s3://tests/lossy")
    place = storage.bucket(tmp_path, "s3://tests/lossy")
    proxy.rude = "loses answers"
    place.put("a", "png", b"picture", ONE)
    assert proxy.rude == ""
    assert set(files(place)) == {"a.png", "a.json"}


@pytest.mark.parametrize(("rude", "times"), [("is busy", 4), ("conflicts", 1), ("is slow", 9), ("is late", 1)])
def test_a_store_that_has_too_much_to_do_gets_each_object_once_and_whole(
    proxy: type[Proxy], tmp_path: Path, rude: str, times: int
) -> None:
    url = f"s3://tests/{rude.replace(' ', '-')}"
    storage.claim(tmp_path, url)
    place = storage.bucket(tmp_path, url)
    proxy.rude, proxy.times = rude, times
    place.put("a", "png", b"picture", ONE)
    for late in proxy.late:
        late.join()
    proxy.rude = ""
    assert set(files(place)) == {"a.png", "a.json"}
    assert place.get("a.png") == b"picture"


def test_a_bucket_that_denies_is_a_disk_error_that_says_what_to_do(proxy: type[Proxy], tmp_path: Path) -> None:
    storage.claim(tmp_path, "s3://tests/denied")
    proxy.rude = "denies"
    with pytest.raises(DiskError) as caught:
        storage.bucket(tmp_path, "s3://tests/denied").put("a", "png", b"picture", ONE)
    assert "credentials" in str(caught.value.hint)
    assert "nothing is paid twice" in str(caught.value.hint)
    assert "a-secret" not in str(caught.value)
