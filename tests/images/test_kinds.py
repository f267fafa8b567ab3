"""What was paid for is kept, whatever it is: every kind with the right ending, checked as far as it can be."""

import asyncio
import base64
import json
from io import BytesIO
from pathlib import Path
from struct import pack

import pytest
from PIL import Image

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.images.check import Limits, examine
from batcher.images.data_url import data_url
from batcher.images.fetch import Downloader
from batcher.images.kinds import KINDS, Announced, classify
from batcher.images.trust import Trust
from batcher.store.files.safe_reader import EXTENSIONS
from tests.support.file_host import answer, describe, fetch, files, picture

OGG_PAGE = b"OggS\0\2" + bytes(20) + b"\1\x08OpusHead"
FLAC = b"fLaC\x80\0\0\x22" + bytes(34) + b"\xff\xf8sound"
WAV = b"RIFF" + pack("<I", 36) + b"WAVEfmt \x10\0\0\0" + bytes(16) + b"data\0\0\0\0"
GLB = b"glTF" + pack("<II", 2, 20) + bytes(8)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="3"><rect/></svg>'
MKV = b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska" + b"\x18\x53\x80\x67\x81\0"
HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0\0\0\x08mdat"
AVIF_MIF1 = picture(20, 20, form="AVIF").replace(b"ftypavif", b"ftypmif1", 1)
PDF = b"%PDF-1.7\n1 0 obj\n%%EOF\n"
ZIP = b"PK\x03\x04" + bytes(30) + b"PK\x05\x06" + bytes(18)


def saved(form: str) -> bytes:
    held = BytesIO()
    Image.effect_noise((9, 7), 80).convert("RGB").save(held, form)
    return held.getvalue()


WHOLE = [
    (OGG_PAGE, "", "ogg", "audio/ogg"),
    (FLAC, "", "flac", "audio/flac"),
    (WAV, "", "wav", "audio/wav"),
    (GLB, "", "glb", "model/gltf-binary"),
    (SVG, "image/svg+xml", "svg", "image/svg+xml"),
    (saved("TIFF"), "", "tif", "image/tiff"),
    (saved("BMP"), "", "bmp", "image/bmp"),
    (HEIC, "", "heic", "image/heic"),
    (AVIF_MIF1, "", "avif", "image/avif"),
    (MKV, "", "mkv", "video/x-matroska"),
    (PDF, "", "pdf", "application/pdf"),
    (ZIP, "", "zip", "application/zip"),
    (b'{"scene": [1, 2]}', "application/json", "json5", "application/json"),
    ("Käse, at dawn\n".encode(), "text/plain; charset=utf-8", "txt", "text/plain"),
    (b"a kite over a hill\n", "application/octet-stream", "txt", "text/plain"),
    (b'{"boxes": [[1, 2]]}', "binary/octet-stream", "json5", "application/json"),
    (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", "application/x-subrip", "srt", "application/x-subrip"),
]


@pytest.mark.parametrize(("body", "header", "extension", "mime"), WHOLE, ids=[case[2] for case in WHOLE])
def test_an_output_is_kept_with_the_ending_and_type_that_it_has(
    tmp_path: Path, body: bytes, header: str, extension: str, mime: str
) -> None:
    artifact = fetch(tmp_path, answer(body, headers={"Content-Type": header} if header else {}))
    assert artifact.file == f"images/x/picture.{extension}"
    assert artifact.mime == mime
    assert (tmp_path / artifact.file).read_bytes() == body
    assert json.loads((tmp_path / "images/x/picture.json").read_bytes())["file"] == artifact.file


@pytest.mark.parametrize(
    ("body", "announced"),
    [
        (OGG_PAGE, ""), (FLAC[:30], ""), (WAV, ""), (GLB, ""), (SVG, "image/svg+xml"), (saved("BMP"), ""), (HEIC, ""),
        (PDF, ""), (ZIP, ""), (b'{"scene": [1, 2]}', "application/json"),
    ],
)  # fmt: skip
def test_one_that_was_cut_short_is_found_out(body: bytes, announced: str) -> None:
    with pytest.raises(FileUnavailable) as caught:
        examine(body[:-7], depth="structure", limits=Limits(), announced=Announced(announced))
    assert caught.value.cause.kind == "bad_picture"
    assert caught.value.digest is not None


def test_bytes_that_nobody_has_a_name_for_are_kept_with_a_warning_after_one_download(tmp_path: Path) -> None:
    artifact = fetch(tmp_path, answer(b"\x93NUMPY\x01\0v\0 and so on, in no format of ours"))
    assert artifact.file.endswith(".bin")
    assert artifact.warning == "kept as it came: its kind of file is not known"


@pytest.mark.parametrize(
    ("body", "mime", "extension"),
    [
        (b"<!doctype html><p>Sorry", "text/html", ""),
        (b"<html>", "image/png", "png"),
        (b'{"error": "busy"}', "application/json", "png"),
        (b"upstream timed out", "text/plain", "mp4"),
        (b"<html>", "application/octet-stream", ""),
        (b"upstream timed out", "application/octet-stream", "png"),
        (b"too short\x00", "", ""),
        (b"", "", ""),
    ],
)
def test_a_message_in_place_of_the_file_is_never_taken_for_it(body: bytes, mime: str, extension: str) -> None:
    assert classify(body, Announced(mime, extension)) is None


def test_the_end_of_the_link_names_what_a_zip_is() -> None:
    kind = classify(ZIP, Announced("application/octet-stream", "usdz"))
    assert kind is not None
    assert kind.extension == "usdz"


def test_every_kind_can_be_found_again_and_none_takes_the_place_of_a_sidecar() -> None:
    endings = [kind.extension for kind in KINDS]
    assert len(set(endings)) == len(endings)
    assert not {"json", "part"} & set(endings)
    texts = {"obj", "pdf", "zip", "gz", "json5", "html", "xml", "csv", "md", "srt", "vtt", "txt", "bin"}
    assert set(endings) - texts == EXTENSIONS - {"json", "part"}


PNG = picture(16, 16)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "data:image/png;base64," + base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        "DATA:image/png;charset=x;base64," + base64.b64encode(PNG).decode().replace("+", "%2B"),
    ],
)
def test_an_image_in_the_answer_itself_is_decoded_and_not_repeated_in_its_sidecar(tmp_path: Path, url: str) -> None:

    async def main() -> None:
        async with Downloader(tmp_path, trust=Trust()) as loader:
            artifact = await loader.fetch(url, path="a", describe=describe)
        assert artifact.width == 16
        assert len(artifact.url) < 200
        assert (tmp_path / artifact.file).read_bytes() == PNG

    asyncio.run(main())


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,%%%", "data:image/png;base64,é"])
def test_a_data_url_that_can_not_be_read_is_refused_for_good(tmp_path: Path, url: str) -> None:

    with pytest.raises(FileRefused):
        data_url(url)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/a picture.png", "/a%20picture.png"),
        ("/käse/猫.png", "/k%C3%A4se/%E7%8C%AB.png"),
        ("/a%3Db+c.png?sig=a%2Fb&x=ü", "/a%3Db+c.png?sig=a%2Fb&x=%C3%BC"),
    ],
)
def test_links_with_blanks_and_letters_outside_ascii_are_fetched(tmp_path: Path, path: str, asked: str) -> None:

    assert str(Trust(["127.0.0.1"]).check(f"http://127.0.0.1:80{path}")).endswith(asked)
