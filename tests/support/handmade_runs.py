"""Finished runs made by hand: a state file, and tiny pictures that are all different."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from batcher.core.job import Artifact, Entry, Job, State, job_key
from batcher.store import reading
from tests.support.state_files import MODEL, NOW, Book, a_book

FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
MIMES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}


@dataclass(kw_only=True)
class Asked:
    """A job to be. fails: nothing came of it. images: how many it gives. kind: of file."""

    prompt: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    source: str = "birds.csv"
    line: int | None = None
    fails: bool = False
    images: int = 1
    kind: str = "png"
    size: tuple[int, int] = (8, 6)


def seeds(prompts: Iterable[str], several: int = 1, **more: Any) -> list[Asked]:
    return [Asked(prompt=prompt, inputs={"seed": seed}, **more) for prompt in prompts for seed in range(several)]


def a_run(folder: Path, asked: Iterable[Asked], *, simulated: bool = True) -> Path:
    """A run directory at ``folder``, or what is added to the one there is."""
    with a_book(folder) as book:
        book.note(simulated=simulated)
        ((start,),) = book.rows("SELECT count(*) FROM jobs")
        for number, one in enumerate(asked, start):
            _finish(book, folder, one, number)
    return folder


def unlist(folder: Path, prompt: str) -> None:
    """The jobs of this prompt left the manifest."""
    with a_book(folder) as book:
        ids = [row[0] for row in book.rows("SELECT id FROM jobs WHERE prompt = ?", prompt)]
        assert ids
        book.do(book.state.unlist, ids)


def redo(folder: Path, prompt: str, one: Asked) -> None:
    """The failed job of this prompt is tried again, and comes through."""
    with a_book(folder) as book:
        failed = reading.entries(book.state.connection, [State.FAILED])
        (entry,) = [entry for entry in failed if entry.job.inputs["prompt"] == prompt]
        _save(book, folder, one, book.do(book.state.reopen, entry), 10_000)


def _finish(book: Book, folder: Path, one: Asked, number: int) -> None:
    inputs = {"prompt": one.prompt, **one.inputs}
    job = Job(
        key=job_key(MODEL, {**inputs, "n": number}), model=MODEL, inputs=inputs, copy=1,
        prompt_id=one.id or f"p{number}", meta=one.meta, source=one.source,
        line=number + 2 if one.line is None else one.line, path=f"{number // 1000:04d}/p{number}",
    )  # fmt: skip
    if one.fails:
        book.failed(job)
    else:
        _save(book, folder, one, book.pending(job), number)


def _save(book: Book, folder: Path, one: Asked, entry: Entry, number: int) -> None:
    entry = book.ready_from(entry)
    book.do(book.state.save, entry, [_file(folder, one, entry, number, index) for index in range(one.images)])


def _file(folder: Path, one: Asked, entry: Entry, number: int, index: int) -> Artifact:
    name = f"images/{entry.path}" + (f"_{index + 1}" if one.images > 1 else "") + f".{one.kind}"
    content = (
        picture(number * 7 + index, one.kind, one.size) if one.kind in FORMATS else b"\0\0\0\x18ftypmp42" + bytes(99)
    )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    is_picture = one.kind in FORMATS
    return Artifact(
        file=name, bytes=len(content), sha256=sha256(content).hexdigest(), mime=MIMES[one.kind],
        width=one.size[0] if is_picture else None, height=one.size[1] if is_picture else None,
        url="https://files.runcomfy.net/a", output_index=index, output_count=one.images,
        downloaded_at=NOW + number + index / 1000,
    )  # fmt: skip


def picture(number: int, kind: str = "png", size: tuple[int, int] = (8, 6)) -> bytes:
    """Different for every number."""
    colour = (number % 256, number // 256 % 256, number // 65536 % 256)
    made, content = Image.new("RGB", size, colour), BytesIO()
    made.putpixel((0, 0), (255 - colour[0], 7, 9))
    made.save(content, FORMATS[kind])
    return content.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and its content, without what an export keeps for itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".batcher-export" not in path.parts
    }
