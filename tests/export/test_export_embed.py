"""``--embed`` at export, and ``check --as infotext``: with the readers that people use, on every kind of export."""

import hashlib
import io
import re
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batcher.images.embed import strip
from batcher.store import connect_to_read, exporting, picks
from batcher.store.picks import Verdict
from tests.export.conftest import Batcher
from tests.support.embedded import read_infotext
from tests.support.handmade_runs import Asked, a_run, seeds, tree
from tests.support.pictures import with_chunk

pytestmark = [  # the webdataset library leaves closing its files to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EMBED = ("--embed", "infotext,xmp,iptc")
FILES = [("imagefolder",), ("captions",), ("layout", "--layout", "{prompt}/{number:04d}")]
ASKED = [*seeds(["a heron over a lake", "三只猫"], 3), Asked(prompt="last", kind="jpg"), Asked(prompt="w", kind="webp")]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return a_run(tmp_path / "run", ASKED)


def pictures(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if name.endswith((".png", ".jpg", ".webp"))}


def arrived_as(run: Path, content: bytes) -> Path:
    """The first picture of the run was delivered so."""
    path = run / "images/0000/p0.png"
    path.write_bytes(content)
    with closing(sqlite3.connect(run / "state.db")) as connection, connection:
        connection.execute(
            "UPDATE images SET bytes = ?, sha256 = ? WHERE job_id = 1",
            (len(content), hashlib.sha256(content).hexdigest()),
        )
    return path


def signed(run: Path) -> Path:
    return arrived_as(run, with_chunk((run / "images/0000/p0.png").read_bytes(), b"caBX", b"a manifest"))


@pytest.mark.parametrize("to", FILES, ids=lambda to: to[0])
def test_every_image_of_an_export_says_what_made_it_and_the_run_stays_as_it_is(
    to: tuple[str, ...], exported: Any, run: Path, tmp_path: Path
) -> None:
    before = tree(run / "images")
    report = exported(run, *to, *EMBED)
    made = pictures(tmp_path / "out")
    assert len(made) == report["pictures"] == 8
    assert all(read_infotext(content) for content in made.values())
    assert {strip(content) for content in made.values()} == set(before.values())
    assert tree(run / "images") == before
    assert report["not_embedded"] == 0


@pytest.mark.parametrize("to", FILES, ids=lambda to: to[0])
def test_the_readers_find_what_the_sidecars_say(to: tuple[str, ...], exported: Any, checked: Any, run: Path) -> None:
    exported(run, *to, *EMBED)
    facts = checked("infotext")
    assert (facts["findings"], facts["seen"]) == ({}, 8)
    assert facts["reader"][0] == "batcher: 8 of 8 as their sidecars say"


@pytest.mark.parametrize("reader", ["imagefolder", "captions", "webdataset", "parquet"])
@pytest.mark.parametrize("more", [(), ("--convert", "webp:80")])
def test_the_reader_of_the_export_sees_the_run_as_it_is_with_all_embedded(
    reader: str, more: tuple[str, ...], exported: Any, checked: Any, tmp_path: Path
) -> None:
    exported(a_run(tmp_path / "run", seeds(["a heron"], 4)), reader, *EMBED, *more)
    facts = checked(reader)
    assert (facts["findings"], facts["seen"]) == ({}, 4)


def test_an_image_that_lost_its_infotext_is_a_finding(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "captions", *EMBED)
    victim = min((tmp_path / "out").glob("*.png"))
    victim.write_bytes(strip(victim.read_bytes()))
    for reader, kind in (("infotext", "infotext differs"), ("captions", "picture differs")):
        facts = checked(reader)
        assert victim.name.split(".")[0] in str(facts["findings"][kind]["examples"])


def test_the_images_in_shards_have_it_too(exported: Any, tmp_path: Path) -> None:
    exported(a_run(tmp_path / "run", seeds(["a heron"], 4)), "webdataset", *EMBED)
    with tarfile.open(tmp_path / "out/train/000000.tar") as tar:
        members = [tar.extractfile(name) for name in tar.getnames() if name.endswith(".png")]
        assert all(member is not None and read_infotext(member.read()) for member in members)
        assert len(members) == 4


def test_a_converted_image_has_it_as_well(exported: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "captions", "--convert", "webp:80", *EMBED)
    made = pictures(tmp_path / "out")
    assert len(made) == 8
    assert all(read_infotext(content) for content in made.values())
    assert {Image.open(io.BytesIO(content)).format for content in made.values()} == {"WEBP"}


def test_a_signed_image_is_linked_as_it_is_and_told_of(
    batcher: Batcher, exported: Any, run: Path, tmp_path: Path
) -> None:
    path = signed(run)
    report = exported(run, "captions", *EMBED)
    assert (report["not_embedded"], report["linked"]) == (1, 1)
    assert report["not_embedded_examples"] == [
        "images/0000/p0.png: it carries a C2PA manifest, which would no longer hold"
    ]
    (mine,) = [made for made in (tmp_path / "out").glob("*.png") if made.samefile(path)]
    assert mine.read_bytes() == path.read_bytes()
    output = batcher("export", run, tmp_path / "again", "--to", "captions", "--progress", "none", *EMBED).out
    assert "nothing embedded: 1 of those made now" in output


def test_signed_beside_the_words_overrules_that(exported: Any, run: Path, tmp_path: Path) -> None:
    signed(run)
    report = exported(run, "captions", "--embed", "infotext,signed")
    assert (report["not_embedded"], report["linked"]) == (0, 0)
    assert all(read_infotext(content) for content in pictures(tmp_path / "out").values())


def test_what_says_it_all_already_is_linked(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a heron"], 1))
    first = exported(run, "captions", *EMBED, folder="one")
    assert first["linked"] == 0
    (made,) = (tmp_path / "one").glob("*.png")
    arrived_as(run, made.read_bytes())
    assert exported(run, "captions", *EMBED, folder="two")["linked"] == 1


def test_a_second_export_finds_everything_there(exported: Any, run: Path) -> None:
    exported(run, "captions", *EMBED)
    again = exported(run, "captions", "--embed", "iptc, xmp,infotext")
    assert (again["written"], again["linked"], again["unchanged"]) == (0, 0, 16)


@pytest.mark.parametrize(
    ("before", "after"),
    [((), EMBED), (EMBED, ()), (("--copy",), EMBED), (EMBED, ("--copy",)), ((), ("--copy",)),
     (("--convert", "webp:90"), ("--convert", "webp:5")), (EMBED, ("--embed", "infotext"))],
)  # fmt: skip
def test_other_options_make_it_anew_as_if_it_had_never_been(
    before: tuple[str, ...], after: tuple[str, ...], batcher: Batcher, exported: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "captions", *before)
    came = batcher("export", run, tmp_path / "out", "--to", "captions", *after)
    assert came.code == 64
    assert "--replace" in came.err
    exported(run, "captions", *after, "--replace")
    exported(run, "captions", *after, folder="fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")
    inodes = {path.stat().st_ino for path in run.rglob("*.png")}
    linked = {path.stat().st_ino for path in (tmp_path / "out").glob("*.png")} & inodes
    assert bool(linked) is (after == ())


def test_making_it_anew_goes_on_where_it_was_interrupted(
    exported: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batcher.export.captions import Captions  # noqa: PLC0415

    exported(run, "captions")
    with monkeypatch.context() as patch:
        patch.setattr(Captions, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises((KeyboardInterrupt, AssertionError)):
            exported(run, "captions", *EMBED, "--replace")
    exported(run, "captions", *EMBED)
    assert all(read_infotext(content) for content in pictures(tmp_path / "out").values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "captions", "--embed", "exif"), "must be infotext, xmp or iptc"),
        (("--to", "captions", "--embed", ""), "must be infotext, xmp or iptc"),
        (("--to", "layout", "--layout", "dpg-bench", "--embed", "xmp"), "made of four images"),
        (("--to", "parquet", "--no-pictures", "--embed", "xmp"), "contradict each other"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_written(
    words: tuple[str, ...], message: str, batcher: Batcher, run: Path, tmp_path: Path
) -> None:
    came = batcher("export", run, tmp_path / "out", *words)
    assert came.code == 64
    assert message in came.err
    assert not (tmp_path / "out").exists()


def test_none_is_as_if_it_were_not_given(exported: Any, run: Path) -> None:
    exported(run, "captions")
    assert exported(run, "captions", "--embed", "none")["unchanged"] == 16


def test_an_image_that_was_damaged_in_the_run_is_no_measure_for_its_export(
    exported: Any, checked: Any, run: Path
) -> None:
    damaged = next((run / "images").rglob("*.png"))
    content = bytearray(damaged.read_bytes())
    content[-20] ^= 255  # in the checksum of the pixels: as long as before
    damaged.write_bytes(content)
    assert exported(run, "captions", "--embed", "infotext")["not_embedded"] == 1
    facts = checked("captions")
    assert {kind: finding["count"] for kind, finding in facts["findings"].items()} == {"picture differs": 1}


def test_stars_are_the_rating_in_xmp_and_follow_the_verdict(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a heron"], 2))
    connection = connect_to_read(run)
    (one, _) = exporting.images(connection, removed=False)
    connection.close()

    def ratings() -> list[bytes]:
        every = [path.read_bytes() for path in sorted((tmp_path / "out").glob("*.png"))]
        return [match[1] for content in every for match in re.finditer(rb"<xmp:Rating>(\d)</xmp:Rating>", content)]

    exported(run, "captions", "--embed", "xmp")
    assert ratings() == []
    picks.append(run, [Verdict(job=one.key, stars=4, sha256=one.sha256)])
    exported(run, "captions", "--embed", "xmp")
    assert ratings() == [b"4"]
    picks.append(run, [Verdict(job=one.key)])
    exported(run, "captions", "--embed", "xmp")
    assert ratings() == []
