"""What a run gives to a program: images, failures, reports and plans, as frozen values."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from batcher.core.errors import Cause
from batcher.core.groups import seed_of
from batcher.core.job import Artifact, Entry, State
from batcher.core.units import show_count, show_usd
from batcher.export.matching import Sample
from batcher.images.thumbnail import Unreadable, on_white
from batcher.runner import report
from batcher.store.picks import Verdict
from batcher.store.prompts import Prompts

THUMBNAILS = 24  # shown at most
_SIDE = 160  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class OfJob:
    """What an image and a failure have of their job.

    prompt: "" if the model takes none. inputs: as sent. meta: of the manifest, not sent. model: its id. job: the key,
    32 hex digits. prompt_id: the manifest's, or made from the prompt. request_id: None if it was never submitted, or
    lost. cost_usd: dollars of the whole job, None if the service did not report it.
    """

    prompt: str
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any]
    model: str
    job: str
    prompt_id: str
    request_id: str | None
    cost_usd: float | None

    @property
    def seed(self) -> Any:
        """The seed that was sent, None where none was."""
        return seed_of(self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(OfJob):
    """An image on the disk.

    path: of the file; its sidecar is beside it, with the ending ``.json``. output_index: from 0, among the images of
    the job; ``cost_usd`` is of all of them. width, height: pixels; None for a file without. bytes, sha256, mime: of the
    file, with the metadata that ``--embed`` wrote. warning: what is odd about it; None for nothing, and from
    ``Run.images``. pick: ``yes``, ``no`` or None; stars: 0 to 5 or None; tags: texts.

    >>> image = batcher.open("runs/kite").images()[0]
    >>> image.prompt, image.path.suffix, image.seed
    ('a red kite', '.png', None)
    """

    path: Path
    output_index: int
    width: int | None
    height: int | None
    bytes: int
    mime: str
    sha256: str
    warning: str | None = None
    pick: str | None = None
    stars: int | None = None
    tags: Sequence[str] = ()

    def _repr_html_(self) -> str:
        return _figure(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(OfJob):
    """A job without an image. state: failed, cancelled or in_doubt (it may have been paid for).

    cause: one word, as in ``status`` and ``retry --cause``. attempts: submits so far. message, http_status, code: the
    service's answer.

    >>> odd = {"prompt": "a kite", "aspect_ratio": "17:9"}
    >>> batcher.run([odd], out="runs/odd", no_schema_check="aspect_ratio", simulate=True).failed
    1
    >>> failed = batcher.open("runs/odd").failures()[0]
    >>> failed.cause, failed.http_status, failed.prompt, failed.inputs["aspect_ratio"]
    ('invalid_input', 422, 'a kite', '17:9')
    >>> batcher.open("runs/odd").retry(cause=failed.cause, dry_run=True)["may_cost_usd"]
    0.02
    """

    state: State
    cause: str
    message: str
    attempts: int
    http_status: int | None = None
    code: str | None = None


class Report(report.Report, frozen=True, kw_only=True):
    """The status of a run: the fields of ``report.json``. Money is in dollars, over the life of the run directory.

    exit_code: 0 when every job is done, else as in ``batcher help exit-codes``. stopped_by: why it ended early, in one
    word. submits, seconds: of the last start; submits_total: of all starts. facts: all of ``report.json``.

    >>> print(batcher.open("runs/kite").status())
    runs/kite: 1 of 1 job done; $0.02 of play money
    """

    facts: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Report":
        """facts: as ``report.json`` has them."""
        return msgspec.convert({**facts, "facts": dict(facts)}, cls)

    def __repr__(self) -> str:
        fields = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "facts")
        return f"Report({', '.join(fields)})"

    def __str__(self) -> str:
        money = "cost unknown" if self.cost_usd is None else show_usd(self.cost_usd)
        play = " of play money" if self.simulated else ""
        jobs = f"{self.done:,} of {show_count(self.total, 'job')} done"
        words = {"failed": "failed", "in_doubt": "in doubt", "cancelled": "cancelled", "pending": "to go"}
        rest = [f"{count:,} {word}" for name, word in words.items() if (count := getattr(self, name))]
        return f"{self.run}: {', '.join([jobs, *rest])}; {money}{play}"

    def _repr_html_(self) -> str:
        facts = {name: getattr(self, name) for name in self.__struct_fields__}
        plain = {name: one for name, one in facts.items() if one != "" and isinstance(one, str | int | float)}
        return _table(str(self), plain)


_ANALYSED = msgspec.json.Decoder(Report)  # at a first use in two threads msgspec 0.22 ends the process


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do. jobs: of the manifest. new: not in the run directory yet. cost_usd: None if unknown.

    manifest, run: as they are named. model: its id. prompts: rows of the manifest, before axes and ``repeat``.
    to_submit: jobs that would be paid for. price_usd: dollars an image, None if unknown. axes: number of jobs by value,
    by axis. against: how the manifest differs from the run directory; None if there is none. warnings: a line each.
    facts: all of ``plan --json``.

    >>> plan = batcher.plan(["a red kite", "a gull"], out="runs/kite", simulate=True)
    >>> plan.jobs, plan.new, plan.cost_usd
    (2, 1, 0.02)
    >>> print(plan)
    runs/kite/manifest.jsonl: 1 job to submit, $0.02
    """

    manifest: str
    run: str
    model: str
    prompts: int
    jobs: int
    to_submit: int
    price_usd: float | None
    cost_usd: float | None
    axes: Mapping[str, Mapping[str, int]]
    against: Mapping[str, int] | None
    warnings: Sequence[str]
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Plan":
        """facts: as ``plan --json`` gives them."""
        return cls(**{one.name: facts[one.name] for one in fields(cls) if one.name != "facts"}, facts=dict(facts))

    @property
    def new(self) -> int:
        return self.jobs if self.against is None else self.against["new"]

    def __str__(self) -> str:
        cost = "cost unknown" if self.cost_usd is None else show_usd(self.cost_usd)
        return f"{self.manifest}: {show_count(self.to_submit, 'job')} to submit, {cost}"

    def _repr_html_(self) -> str:
        return _table(
            str(self),
            {"prompts": self.prompts, "jobs": self.jobs, **{name: ", ".join(axis) for name, axis in self.axes.items()}},
        )


class Images(Sequence[Image]):
    """A list of images that shows thumbnails in a notebook.

    >>> batcher.open("runs/kite").images("width > height")
    <1 image>
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, at: Any) -> Any:
        return Images(self._images[at]) if isinstance(at, slice) else self._images[at]

    def __repr__(self) -> str:
        return f"<{show_count(len(self), 'image')}>"

    def _repr_html_(self) -> str:
        return "".join(_figure(image) for image in self._images[:THUMBNAILS]) + more_images(len(self) - THUMBNAILS)


def more_images(count: int) -> str:
    """The line below thumbnails, as HTML. count: images that are not shown."""
    return f"<p>... and {count:,} more</p>" if count > 0 else ""


def image_of_view(run_dir: Path, file: str, view: Sample) -> Image:
    """file: its name, relative to the run directory."""
    image, verdict = view.image, view.verdict or Verdict(job=view.image.key)
    return Image(
        path=run_dir / file, **_of_file(image), prompt=view.prompt, inputs=dict(view.inputs),
        meta=dict(view.meta), model=image.model, job=image.key, prompt_id=image.prompt_id, request_id=image.request_id,
        cost_usd=image.cost_usd, pick=verdict.pick, stars=verdict.stars, tags=verdict.tags,
    )  # fmt: skip


def image_of(run_dir: Path, entry: Entry, artifact: Artifact, prompts: Prompts) -> Image:
    """One saved file of a job."""
    path = run_dir / artifact.file
    return Image(path=path, **_of_file(artifact), **_of_entry(entry, prompts), warning=artifact.warning)


def failed_of(entry: Entry, prompts: Prompts) -> Failed:
    """A job that ended without an image; its state is the cause if none is recorded."""
    cause = entry.cause or Cause(kind=str(entry.state), message="")
    return Failed(
        **_of_entry(entry, prompts), state=entry.state, attempts=entry.attempts, cause=cause.kind,
        message=cause.message, http_status=cause.http_status, code=cause.code,
    )  # fmt: skip


def _of_file(file: Any) -> dict[str, Any]:
    names = ("output_index", "width", "height", "bytes", "mime", "sha256")
    return {name: getattr(file, name) for name in names}


def _of_entry(entry: Entry, prompts: Prompts) -> dict[str, Any]:
    job = entry.job
    return {
        "prompt": prompts.of(entry.id, job.inputs), "inputs": job.inputs, "meta": job.meta, "model": job.model,
        "job": job.key, "prompt_id": job.prompt_id, "request_id": entry.request_id, "cost_usd": entry.cost_usd,
    }  # fmt: skip


def _figure(image: Image) -> str:
    caption = html.escape(f"{image.prompt[:120]} {'' if image.seed is None else f'(seed {image.seed})'}".strip())
    box = f"display:inline-block;width:{_SIDE}px;margin:4px;vertical-align:top;font-size:11px"
    return f'<figure style="{box}">{_image(image)}<figcaption>{caption}</figcaption></figure>'


def _image(image: Image) -> str:
    try:
        small = on_white(image.path, (2 * _SIDE, 2 * _SIDE))
    except Unreadable as error:
        return f"<em>{html.escape(str(error))}</em>"
    held = io.BytesIO()
    small.save(held, "WEBP", quality=75)
    data = base64.b64encode(held.getvalue()).decode()
    return f'<img style="max-width:100%" alt="" src="data:image/webp;base64,{data}">'


def _table(title: str, facts: Mapping[str, Any]) -> str:
    show: Callable[[Any], str] = lambda value: html.escape(f"{value:,}" if isinstance(value, int) else str(value))  # noqa: E731
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{show(value)}</td></tr>" for name, value in facts.items())
    return f"<p>{html.escape(title)}</p><table>{rows}</table>"
