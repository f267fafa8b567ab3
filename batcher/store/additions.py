"""``additions.jsonl``: jobs that ``batcher more`` added to a run; from then on they are part of its manifest.

A line is a job in the form of ``records.jsonl`` (``job``, ``model``, ``inputs``, ``prompt_id``, ``meta``, ``source``),
with its ``copy`` number, the ``path`` of its image and the time it was added. Planning reads these jobs
after those of the manifest's own files; a job that is also in the manifest counts once.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from batcher.core.errors import UsageError
from batcher.core.job import Job, images_asked, job_key, utc
from batcher.core.naming import safe_part
from batcher.store.files.disk import disk, force_folder, open_own, ordinary

ADDITIONS = "additions.jsonl"


def jobs(run_dir: Path) -> Iterator[Job]:
    """The added jobs, each once, in the order added; empty if there are none.

    An incomplete last line (power cut while adding) is skipped, as ``append`` never returned for it. Raises UsageError
    for any other line that is not a job, and DiskError.
    """
    seen: set[str] = set()
    for number, line in enumerate(_lines(run_dir), 1):
        if not line.strip():
            continue
        job = _job(line)
        if job is None:
            if not line.endswith(b"\n"):
                return
            raise UsageError(
                f"{run_dir / ADDITIONS}:{number}: this is not a job that `batcher more` added",
                hint="Remove the line, or put the file back as it was. Nothing was submitted.",
            )
        if job.key not in seen:
            seen.add(job.key)
            yield job


def append(run_dir: Path, added: Iterable[Job]) -> None:
    """Append the jobs and force them to the disk. Raises DiskError."""
    at = utc(time.time())
    text = "".join(f"{json.dumps(_record(job, at), ensure_ascii=False)}\n" for job in added)
    content = text.encode(errors="backslashreplace")
    path = run_dir / ADDITIONS
    with disk(ADDITIONS, len(content)):
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
            file.truncate(_end_of_lines(file))
            file.seek(0, os.SEEK_END)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        force_folder(run_dir)


def _end_of_lines(file: BinaryIO) -> int:
    """Offset of the end of the last complete line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 20)))
    tail = file.read()
    return size - (len(tail) - tail.rfind(b"\n") - 1)


def _record(job: Job, at: str | None) -> dict[str, Any]:
    return {
        "schema": "batcher/1", "job": job.key, "model": job.model, "inputs": dict(job.inputs), "copy": job.copy,
        "prompt_id": job.prompt_id, "meta": dict(job.meta), "source": {"manifest": job.source, "line": job.line},
        "path": job.path, "added_at": at, **({"chosen": dict(job.chosen)} if job.chosen else {}),
    }  # fmt: skip


def _lines(run_dir: Path) -> Iterator[bytes]:
    with disk(ADDITIONS):
        try:
            with open(run_dir / ADDITIONS, "rb", opener=ordinary) as lines:
                yield from lines
        except FileNotFoundError:
            return


def _job(line: bytes) -> Job | None:
    """The job, or None if it is not one or was edited: its key must be the hash of its request."""
    try:
        data = json.loads(line)
        source, inputs, model, copy = data["source"], data["inputs"], data["model"], data["copy"]
        path, meta = data["path"], data["meta"]
        if not isinstance(path, str) or not isinstance(meta, dict) or not isinstance(inputs, dict):
            return None
        chosen = data.get("chosen")
        if job_key(model, inputs, copy) != data["job"] or not isinstance(chosen, dict | None):
            return None
        return Job(
            key=data["job"], model=model, inputs=inputs, copy=copy, prompt_id=str(data["prompt_id"]), meta=meta,
            source=str(source["manifest"]), line=int(source["line"]),
            path="/".join(safe_part(part, limit=180) for part in path.split("/")),
            chosen=chosen, images=images_asked(inputs),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
