"""Files on the disk: whole or not, in place or elsewhere, and nothing written when there is nothing to write."""

import hashlib
from pathlib import Path

import pytest

from batcher.core.errors import DiskError
from batcher.images.embed import NotEmbedded, Signed, embed, embed_file
from tests.support.pictures import ALL, BARE, RECORD, with_chunk


def test_a_file_is_rewritten_in_place_and_the_new_hash_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(BARE["png"])
    told = embed_file(path, RECORD, ALL)
    assert path.read_bytes() == embed(BARE["png"], RECORD, ALL)
    assert (told.bytes, told.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert not told.c2pa
    assert list(tmp_path.iterdir()) == [path]


def test_a_hard_link_to_the_file_keeps_what_it_had(tmp_path: Path) -> None:
    path, link = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(BARE["png"])
    link.hardlink_to(path)
    embed_file(link, RECORD, ALL)
    assert path.read_bytes() == BARE["png"]


def test_the_result_can_go_elsewhere(tmp_path: Path) -> None:
    path, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(BARE["jpeg"])
    embed_file(path, RECORD, ALL, target=target)
    assert path.read_bytes() == BARE["jpeg"]
    assert target.read_bytes() == embed(BARE["jpeg"], RECORD, ALL)


def test_a_file_that_says_it_all_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(embed(BARE["webp"], RECORD, ALL))
    before = path.stat().st_ino
    embed_file(path, RECORD, ALL)
    assert path.stat().st_ino == before


def test_a_refused_file_is_left_alone_and_no_target_appears(tmp_path: Path) -> None:
    path, target = tmp_path / "a.png", tmp_path / "b.png"
    signed = with_chunk(BARE["png"], b"caBX", b"anything")
    for content, refusal in ((signed, Signed), (BARE["png"][:-1], NotEmbedded)):
        path.write_bytes(content)
        with pytest.raises(refusal):
            embed_file(path, RECORD, ALL, target=target)
        with pytest.raises(refusal):
            embed_file(path, RECORD, ALL)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(signed)
    assert embed_file(path, RECORD, ALL, force=True).c2pa


def test_a_target_that_can_not_be_written_is_a_disk_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(BARE["png"])
    with pytest.raises(DiskError):
        embed_file(path, RECORD, ALL, target=tmp_path / "gone" / "b.png")
