"""Manifests that would take all memory or all day: measured in a process of their own."""

import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.security.appetite import MOST, measured
from tests.security.ground import batcher

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

LONG_LINE = (
    1024 if os.environ.get("BATCHER_TESTS") == "all" else 256
)  # MB: a gigabyte takes seconds and room on the disk

READ = """
from batcher.core.errors import BatcherError
from batcher.core.job import canonical_json
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, bundled

def read(path):
    with open_manifest(path, Overrides(), stdin=sys.stdin.buffer) as loader:
        for number, job in enumerate(loader.jobs(bundled(DEFAULT_MODEL))):
            if number < 100:
                json.dumps({"inputs": dict(job.inputs), "meta": dict(job.meta)}, indent=2)
                canonical_json(job.meta)
    return {"said": "", "jobs": loader.totals.jobs}

outcomes = []
for path in sys.argv[1:]:
    try:
        outcome = read(path)
    except BatcherError as error:
        outcome = {"said": str(error), "code": error.exit_code}
    outcomes.append({**outcome, "units": effort.units()})
tell(outcomes=outcomes)
"""


def read(*paths: Path | str, stdin: BinaryIO | None = None, units: float = 300) -> list[dict[str, Any]]:
    """What became of each manifest, all in one process: ``said`` is the error, ``jobs`` their number without one."""
    outcome = measured(READ, *map(str, paths), stdin=stdin)
    assert outcome["peak"] < MOST
    for one in outcome["outcomes"]:
        assert one["units"] < units
        assert len(one["said"]) < 20_000
    return [{**one, "peak": outcome["peak"]} for one in outcome["outcomes"]]


def written(folder: Path, name: str, pieces: str | Iterable[bytes]) -> Path:
    path = folder / name
    with path.open("wb") as file:
        file.writelines([pieces.encode()] if isinstance(pieces, str) else pieces)
    return path


def all_written(folder: Path, texts: Iterable[tuple[str, str]]) -> list[Path]:
    """Each in a folder of its own, so that names may repeat."""
    places = []
    for at, (name, text) in enumerate(texts):
        (folder / str(at)).mkdir()
        places.append(written(folder / str(at), name, text))
    return places


def test_an_alias_bomb_is_refused_without_being_unfolded(tmp_path: Path) -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [
        f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)
    ]
    merges = ["a: &a0 {k: v}"] + [f"k{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 50)}]}}" for n in range(1, 30)]
    bomb = written(tmp_path, "m.yaml", "\n".join([*lines, "prompts: *a11"]))
    unfolded, merged = read(bomb, written(tmp_path, "merge.yaml", "\n".join([*merges, "prompts: [x]"])))
    assert "aliases" in unfolded["said"]
    assert merged["code"] == 65


def test_one_line_of_many_megabytes_is_refused_at_its_fourth(tmp_path: Path) -> None:
    openings = {
        "yaml": b'prompts: ["',
        "csv": b'prompt\n"',
        "jsonl": b'{"prompt": "',
        "json": b'["',
        "txt": b"",
        "tsv": b"prompt\n",
    }
    paths = [written(tmp_path, f"m.{form}", [opening, *[b"x" * (1 << 20)] * 32]) for form, opening in openings.items()]
    for outcome in read(*paths):
        assert "line of more than 4 MB" in outcome["said"]
        assert outcome["code"] == 65
        assert outcome["peak"] < 200 << 20


def test_a_line_of_a_gigabyte_or_a_quarter_on_standard_input_is_refused_in_little_memory() -> None:
    source, sink = os.pipe()
    threading.Thread(target=_fill, args=(sink,), daemon=True).start()
    with os.fdopen(source, "rb") as stdin:
        (outcome,) = read("-", stdin=stdin, units=1000)
    assert "line of more than 4 MB" in outcome["said"]
    assert outcome["peak"] < 200 << 20


def _fill(sink: int) -> None:
    with suppress(BrokenPipeError), os.fdopen(sink, "wb", buffering=0) as pipe:
        for _ in range(LONG_LINE):
            pipe.write(b"a" * (1 << 20))


def test_what_is_nested_beyond_reason_is_refused_with_a_place(tmp_path: Path) -> None:
    texts = [
        ("m.yaml", "prompts: " + "[" * 100_000),
        ("m.yaml", "{a: " * 100_000),
        ("m.yaml", "- " * 100_000),
        ("m.json", "[" * 100_000),
        ("m.json", '{"a":' * 100_000),
        ("m.jsonl", "[" * 100_000 + "\n" + '{"a":' * 100_000),
        ("m.json", '[{"prompt": "a", "deep": ' + "[" * 500 + "]" * 500 + "}]"),
        ("m.jsonl", '{"prompt": "a", "deep": ' + '{"a":' * 900 + "1" + "}" * 900 + "}"),
        ("m.jsonl", '{"prompt": ' + "[" * 300 + "]" * 300 + "}"),
    ]
    for outcome, (name, text) in zip(read(*all_written(tmp_path, texts)), texts, strict=True):
        assert outcome.get("code") == 65, text[:30]
        assert f"{name}:1:" in outcome["said"]


def test_numbers_of_thousands_of_digits_are_refused_and_not_printed_whole(tmp_path: Path) -> None:
    nines = "9" * 4_000
    texts = [
        ("m.yaml", f"prompts: [a]\ndefaults: {{seed: {nines * 25}}}"),
        ("m.yaml", f"prompts: [a]\nmatrix: {{seed: 1..{nines}}}"),
        ("m.yaml", f"prompts: [a]\nmatrix: {{seed: {{start: {nines[:390]}, count: 3}}}}"),
        ("m.csv", f"prompt,seed\na,{nines * 25}"),
        ("m.csv", "prompt,seed\na,1" + "e9" * 5_000),
        ("m.jsonl", f'{{"prompt": "a", "seed": {nines}}}'),
        ("m.jsonl", f'{{"prompt": "a", "seed": {nines * 250}}}'),
        ("m.json", '[{"prompt": "a", "seed": 1e400}]'),
        ("m.json", f'[{{"prompt": "a", "id": {nines}}}]'),
    ]
    for outcome, (_, text) in zip(read(*all_written(tmp_path, texts)), texts, strict=True):
        assert outcome.get("code") == 65, text[:30]
        assert len(outcome["said"]) < 1_500


def test_tables_that_are_wider_than_any_table_are_refused_quickly(tmp_path: Path) -> None:
    wide = {
        "a header of millions of empty cells": "prompt" + "," * 3_900_000 + "\na\n",
        "a header of many names": "prompt," + ",".join(f"sed{n}" for n in range(300_000)) + "\na\n",
        "a header of many equal names": "prompt," + ",".join(f"c{n % 150_000}" for n in range(300_000)) + "\na\n",
        "as many equal names as are allowed": "prompt," + ",".join(f"c{n % 8_000}" for n in range(16_000)) + "\na\n",
        "as many names of one input": "prompt," + ",".join("seed" + "_" * (n % 9) for n in range(16_000)) + "\na\n",
        "a row of millions of cells": "prompt,note\na," + "," * 3_900_000 + "\n",
    }
    for outcome, words in zip(
        read(*all_written(tmp_path, (("m.csv", text) for text in wide.values()))), wide, strict=True
    ):
        assert outcome.get("code") == 65, words


def test_a_record_that_goes_on_for_gigabytes_is_given_up_on(tmp_path: Path) -> None:
    (outcome,) = read(written(tmp_path, "m.csv", [b"prompt,note\n", *[b'"' + b"x" * 1_000_000 + b'\n",'] * 40]))
    assert "a quote" in outcome["said"]


def test_objects_with_a_million_keys_are_read_or_refused_quickly(tmp_path: Path) -> None:
    keys = ", ".join(f'"k{n}": 1' for n in range(250_000))
    rows = ({"prompt": "a", **{f"k{row}-{n}": 1 for n in range(300)}} for row in range(400))
    wide, twice, many = read(
        written(tmp_path, "m.jsonl", f'{{{keys}, "prompt": "a"}}'),
        written(tmp_path, "twice.jsonl", f'{{{keys}, "prompt": "a", "prompt": "b"}}'),
        written(tmp_path, "many.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
    )
    assert wide["jobs"] == 1
    assert "appears twice" in twice["said"]
    assert many["jobs"] == 400


def test_sweeps_of_a_trillion_are_refused_by_arithmetic(tmp_path: Path) -> None:
    whole = "prompts: [a, b]\nmatrix: {aspect_ratio: [16:9, 1:1], seed: 1..999999999}\n"
    whole += "exclude: [{aspect_ratio: 1:1, seed: 3}]\n"
    listed = "prompts: [a]\nmatrix: {seed: 1..9}\nexclude: [{seed: {start: 1, count: 999999999999}}]\n"
    counted, refused = read(written(tmp_path, "m.yaml", whole), written(tmp_path, "n.yaml", listed))
    assert "makes up to 3,999,999,996 jobs" in counted["said"]
    assert "in a list" in refused["said"]


def test_the_command_line_itself_ends_in_a_message(tmp_path: Path) -> None:
    deep = written(tmp_path, "m.jsonl", '{"prompt": "a", "deep": ' + "[" * 600 + "]" * 600 + "}")
    done = batcher("run", deep, "--simulate", "-o", tmp_path / "run")
    assert done.returncode == 65
    assert b"nested more than 60 deep" in done.stderr
