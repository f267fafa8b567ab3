"""Whole runs with Google's and Microsoft's stores: pictures, inputs and an export there, and what reads them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.parametrize("kind", ["gs", "az"])
def test_images_inputs_and_exports_go_to_each_store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    environment = {**os.environ, **request.getfixturevalue(kind)}
    place = f"{kind}://tests/{tmp_path.name}".lower().replace("_", "-")

    def batcher(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "batcher", *map(str, words)], env=environment, capture_output=True, text=True,
            timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    Image.new("RGB", (20, 20), (9, 0, 0)).save(tmp_path / "cat.png")
    (tmp_path / "edits.csv").write_text("prompt,image\nsnow,cat.png\nrain,cat.png\nfog,cat.png\nsun,cat.png\n")
    run = [
        "run", "edits.csv", "--simulate", "--model", "bytedance/seedream-5.0-pro/image-to-image", "--set",
        "aspect_ratio=1:1", "--images", f"{place}/images", "--media", f"{place}/media",
    ]  # fmt: skip
    batcher(*run)
    folder = tmp_path / "runs" / "edits"
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert len(records) == 4
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"Signature" not in kept
    assert b"sig=" not in kept
    assert not (folder / "images").exists()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (folder / name).unlink(missing_ok=True)
    batcher("verify", folder, "--repair", "--simulate")  # from the sidecars there
    batcher(*run)
    assert json.loads((folder / "report.json").read_bytes())["submits"] == 0
    batcher("verify", folder, "--check", "decode")
    batcher("grid", folder)
    words = ("export", folder, f"{place}/set", "--to", "imagefolder", "--json")
    first, again = (json.loads(batcher(*words))["objects"] for _ in range(2))
    assert first["uploaded"] >= 4
    assert again == {"uploaded": 0, "unchanged": first["uploaded"], "deleted": 0}
