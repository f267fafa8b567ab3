"""What ``vars`` and ``repeat`` chose is in records, can be asked for, and is a column, a caption field and an axis."""

import json
from pathlib import Path

from tests.export.conftest import Batcher

MANIFEST = """\
defaults: {repeat: 2}
prompts:
  - {prompt: "a {style} kite", id: kite, vars: {style: [ink, oil]}}
"""


def test_what_was_chosen_is_known_everywhere(batcher: Batcher, tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(MANIFEST)
    run = tmp_path / "run"
    simulated = ("--simulate", "--progress", "none", "--rate", "200/s")
    assert batcher("run", tmp_path / "n.yaml", "-o", run, *simulated).code == 0
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert [record["chosen"] for record in records] == [
        {"repeat": number, "style": style} for style in ("ink", "oil") for number in (1, 2)
    ]
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder", "--where", 'style == "ink"', "--json")
    assert came.json["pictures"] == 2
    rows = [json.loads(line) for line in (tmp_path / "out/train/metadata.jsonl").read_text().splitlines()]
    assert [(row["style"], row["repeat"]) for row in rows] == [("ink", 1), ("ink", 2)]
    batcher("export", run, tmp_path / "text", "--to", "captions", "--caption", "{prompt}, in {style}")
    assert any("a ink kite, in ink" in path.read_text() for path in (tmp_path / "text").glob("*.txt"))
    came = batcher("grid", run, "--rows", "style", "--cols", "repeat", "--per", "none", "--json")
    assert (came.code, came.json["sheets"], came.json["pictures"]) == (0, 1, 4)
    assert batcher("verify", run).code == 0
    assert batcher("more", run, "--seeds", 1, "--where", 'style == "oil"', "--yes").code == 0
    assert batcher("run", tmp_path / "n.yaml", "-o", run, *simulated, "--json").json["total"] == 5
    assert batcher("grid", run, "--where", 'style == "oil"', "--per", "none", "--json").json["pictures"] == 3


def test_a_table_that_is_rebuilt_from_sidecars_knows_what_was_chosen(batcher: Batcher, tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(MANIFEST)
    run = tmp_path / "run"
    assert batcher("run", tmp_path / "n.yaml", "-o", run, "--simulate", "--progress", "none").code == 0
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (run / name).unlink(missing_ok=True)
    assert batcher("verify", run, "--repair", "--simulate").code == 0
    came = batcher("export", run, tmp_path / "out", "--to", "captions", "--where", 'style == "ink"', "--json")
    assert came.json["pictures"] == 2
