"""Embedding on arrival: real downloads, and whole runs by the command line with everything that looks at them later."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from batcher import __version__
from batcher.core.job import Artifact, Entry, Job, State
from batcher.core.sidecar import sidecar
from batcher.images import fetch
from batcher.images.body import IN_MEMORY
from batcher.images.embed import at_arrival, embed, strip
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from batcher.store.files import whole
from tests.support.embedded import check_infotext, read_infotext
from tests.support.file_host import answer, file_host, files, picture
from tests.support.finished_runs import Run, copied, kinds, made
from tests.support.pictures import BARE, RECORD, decoded, with_chunk

BIG = picture(800, 800)
SIGNED = with_chunk(BARE["png"], b"caBX", b"a manifest")
ENTRY = Entry(
    id=1,
    job=Job(
        key=RECORD["job"], model=RECORD["model"], inputs=RECORD["inputs"], copy=1, prompt_id="heron", meta={},
        source="m.yaml", line=1, path="x/picture",
    ),
    state=State.READY,
    path="x/picture",
)  # fmt: skip


def arrived(run_dir: Path, body: bytes, *wanted: str) -> tuple[Artifact, dict[str, Any]]:
    """The artifact and the sidecar of one picture, fetched into a folder."""

    def describe(artifact: Artifact) -> dict[str, Any]:
        return sidecar(ENTRY, artifact, simulated=False, version=__version__)

    async def main() -> Artifact:
        embed = at_arrival(frozenset(wanted))
        trust = Trust(["127.0.0.1"])
        async with (
            file_host({"/file": answer(body)}) as host,
            Downloader(run_dir, trust=trust, wall=lambda: 1e9, embed=embed) as loader,
        ):
            return await loader.fetch(host.url("/file"), path="x/picture", describe=describe)

    artifact = asyncio.run(main())
    return artifact, json.loads((run_dir / artifact.file).with_suffix(".json").read_text("utf-8"))


@pytest.mark.parametrize("body", [BARE["png"], BARE["jpeg"], BARE["webp"], BIG], ids=["png", "jpeg", "webp", "big"])
def test_what_lies_on_the_disk_has_it_embedded_and_the_sidecar_speaks_of_that_file(tmp_path: Path, body: bytes) -> None:
    assert len(BIG) > IN_MEMORY
    artifact, card = arrived(tmp_path, body, "infotext", "xmp")
    content = (tmp_path / artifact.file).read_bytes()
    assert content == embed(body, card, {"infotext", "xmp"})
    assert strip(content) == body
    assert (artifact.bytes, artifact.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (card["bytes"], card["sha256"]) == (artifact.bytes, artifact.sha256)
    assert artifact.warning is None
    assert "c2pa" not in card
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("wanted", [(), ("infotext",)])
def test_an_image_with_a_manifest_is_kept_as_it_came_and_the_sidecar_says_so(
    tmp_path: Path, wanted: tuple[str, ...]
) -> None:
    artifact, card = arrived(tmp_path, SIGNED, *wanted)
    assert (tmp_path / artifact.file).read_bytes() == SIGNED
    assert card["sha256"] == hashlib.sha256(SIGNED).hexdigest()
    assert card.get("c2pa", False) is bool(wanted)
    assert artifact.warning == ("it carries a C2PA manifest: nothing was embedded" if wanted else None)


def test_it_is_overruled_on_request_and_the_sidecar_says_that_too(tmp_path: Path) -> None:
    artifact, card = arrived(tmp_path, SIGNED, "infotext", "signed")
    assert read_infotext((tmp_path / artifact.file).read_bytes())
    assert card["c2pa"] is True
    assert artifact.warning == "it carries a C2PA manifest, which no longer holds"


def test_a_file_that_has_no_place_for_it_is_kept_with_a_warning(tmp_path: Path) -> None:
    body = picture(form="GIF")
    artifact, card = arrived(tmp_path, body, "infotext")
    assert (tmp_path / artifact.file).read_bytes() == body
    assert artifact.warning == "nothing was embedded: image/gif has no place for it"
    assert card["bytes"] == len(body)


def test_the_warning_of_the_check_stays_beside_it(tmp_path: Path) -> None:
    artifact, _ = arrived(tmp_path, picture(form="GIF", noise=0), "xmp")
    assert artifact.warning is not None
    assert artifact.warning.startswith("one colour all over; nothing was embedded: ")


def test_a_file_that_would_take_too_much_memory_is_kept_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MOST_EMBEDDED", len(BIG) - 1)
    artifact, _ = arrived(tmp_path, BIG, "infotext")
    assert (tmp_path / artifact.file).read_bytes() == BIG
    assert artifact.warning == f"nothing was embedded: it takes {len(BIG):,} bytes"


def test_an_image_that_can_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole, "create", full)
    with pytest.raises(Exception, match="cannot write images/x/picture"):
        arrived(tmp_path, BIG, "infotext")
    assert files(tmp_path) == []


# --- whole runs

MANIFEST = """\
prompts:
  - 'a heron over a lake, "at dawn": blue'
  - 三只猫 🐈
matrix: {aspect_ratio: ["16:9", "1:1"], seed: 1..2}
run: {embed: "infotext, xmp"}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("embedded"), MANIFEST)


@pytest.fixture
def run(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return copied(finished, tmp_path, capsys)


def readable(run: Run) -> None:
    images = run.images()
    records = [json.loads(image.with_suffix(".json").read_text("utf-8")) for image in images]
    check = check_infotext(images, records)
    assert (check.files, check.findings) == (8, [])
    assert set(check.readers.values()) == {8}


def test_a_run_embeds_what_its_manifest_asks_for_and_verify_is_content(run: Run) -> None:
    readable(run)
    assert kinds(run.verify()) == set()
    image = run.images()[0]
    assert decoded(strip(image.read_bytes())) == decoded(image.read_bytes())


def test_the_same_command_again_does_nothing(run: Run) -> None:
    before = {image: image.read_bytes() for image in run.images()}
    assert run.again()["submits"] == 0
    assert {image: image.read_bytes() for image in run.images()} == before


def test_an_image_that_repair_fetches_again_is_the_same_to_the_byte(run: Run) -> None:
    image = run.images()[3]
    before = image.read_bytes()
    image.write_bytes(before[:-9])
    run.images()[5].unlink()
    facts = run.verify("--repair")
    assert {finding["kind"] for finding in facts["before"]} == {"truncated", "missing"}
    assert facts["by_kind"] == {}
    assert kinds(run.verify()) == set()
    assert image.read_bytes() == before
    readable(run)


def test_the_state_file_is_rebuilt_from_such_sidecars(run: Run) -> None:
    run.forget_state()
    run.verify("--repair")
    assert kinds(run.verify()) == set()
    assert run.again()["submits"] == 0
