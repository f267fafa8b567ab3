"""What exiv2 finds, the library behind many viewers: EXIF and XMP of every form, and files that it has rewritten."""

from pathlib import Path
from typing import Any

import pytest

from batcher.images.embed import embed
from tests.images.embed.test_embed_xmp import packet_in, properties
from tests.support.pictures import ALL, BARE, decoded, record

pyexiv2 = pytest.importorskip("pyexiv2", reason="pip install pyexiv2")

SAID = record(prompt='Übung 鷺 <b> & "q"', negative_prompt="n", seed=1)  # no emoji: it takes UNICODE for UCS-2


def opened(path: Path) -> Any:
    return pyexiv2.Image(str(path))


@pytest.fixture(params=sorted(BARE))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bytes]:
    content = BARE[request.param]
    path = tmp_path / f"picture.{request.param.split()[0]}"
    path.write_bytes(embed(content, SAID, ALL))
    return path, content


def test_exiv2_reads_the_fields_and_the_comment(written: tuple[Path, bytes]) -> None:
    path, _ = written
    with opened(path) as image:
        xmp, exif = image.read_xmp(), image.read_exif()
    assert xmp["Xmp.iptcExt.DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert xmp["Xmp.iptcExt.AIPromptInformation"] == 'Übung 鷺 <b> & "q"\nNegative prompt: n'
    assert xmp["Xmp.dc.description"] == {'lang="x-default"': 'Übung 鷺 <b> & "q"'}
    if path.suffix != ".png":
        assert exif["Exif.Photo.UserComment"].startswith(
            'charset=Unicode Übung 鷺 <b> & "q"\nNegative prompt: n\nSteps: 0'
        )


def test_a_file_that_exiv2_has_rewritten_is_embedded_into_again_with_nothing_said_twice(
    written: tuple[Path, bytes],
) -> None:
    path, content = written
    with opened(path) as image:
        image.modify_xmp({"Xmp.xmp.Rating": "3"})
    again = embed(path.read_bytes(), SAID, ALL)
    names = [name for name, _ in properties(packet_in(again))]
    assert "{http://ns.adobe.com/xap/1.0/}Rating" in names
    assert len(names) == len(set(names))
    assert embed(again, SAID, ALL) == again
    assert decoded(again) == decoded(content)
