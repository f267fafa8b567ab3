"""Checks, before the first submit, that the service can fetch the URLs that jobs have as inputs."""

import random
import sqlite3
from collections.abc import Collection, Iterator

from batcher.core.errors import ManifestError, Problem
from batcher.core.one_line import one_line
from batcher.images.input_files import check_links
from batcher.manifest.schema import ModelSchema
from batcher.store import reading

FIRST, SAMPLE = 200, 50  # URLs that are checked by default: the first different ones, and a sample of the others
MOST_NAMED = 50

Place = tuple[str, int, str]  # file, line, input


async def check_inputs(
    connection: sqlite3.Connection, schema: ModelSchema | None, which: str, limit: int | None
) -> tuple[str, ...]:
    """Check the URLs of jobs to be submitted, and return warnings. Raises ManifestError for URLs that can't be fetched.

    schema: of the model, None if unknown. which: ``--check-inputs``: auto, all or none. limit: as ``--limit``.
    """
    takes = {name: one.takes for name, one in schema.inputs.items() if one.takes} if schema else {}
    if which == "none" or not takes:
        return ()
    urls = _chosen(_urls(connection, takes, limit), everything=which == "all")
    findings = await check_links({url: takes[name] for url, (_, _, name) in urls.items()})
    problems, warnings = [], []
    for url, finding in findings.items():
        file, line, name = urls[url]
        what = f"`{one_line(name, 80)}`: {one_line(url, 150)} {finding.reason}"
        if finding.error:
            problems.append(Problem(file, line, 1, what, "fix it, or send it as it is with --check-inputs none"))
        else:
            warnings.append(f"{file}:{line}: {what}")
    if problems:
        raise ManifestError(problems[:MOST_NAMED], total=len(problems))
    more = [f"and {len(warnings) - 5:,} more file inputs like these"] if len(warnings) > 5 else []
    return (*warnings[:5], *more)


def _urls(connection: sqlite3.Connection, names: Collection[str], limit: int | None) -> Iterator[tuple[str, Place]]:
    for inputs, source, line in reading.pending_inputs(connection, limit):
        for name in sorted(set(names) & inputs.keys()):
            value = inputs[name]
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str) and url.startswith("https://"):
                    yield url, (source, line, name)


def _chosen(urls: Iterator[tuple[str, Place]], *, everything: bool) -> dict[str, Place]:
    """All URLs, or the first FIRST different ones and a random SAMPLE of the others, the same in each run."""
    chosen: dict[str, Place] = {}
    sample: list[tuple[str, Place]] = []
    draw, seen = random.Random(0), 0  # noqa: S311  no secret
    for url, place in urls:
        if url in chosen:
            continue
        if everything or len(chosen) < FIRST:
            chosen[url] = place
            continue
        seen += 1
        if len(sample) < SAMPLE:
            sample.append((url, place))
        elif (at := draw.randrange(seen)) < SAMPLE:
            sample[at] = (url, place)
    return chosen | dict(sample)
