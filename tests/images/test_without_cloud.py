"""Without the extra `cloud`: everything but buckets works, and buckets say what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.modules["obstore"] = None  # as if it were not installed
from batcher.__main__ import entry
sys.argv[0] = "batcher"
sys.exit(entry())
"""
EDIT = ["--model", "bytedance/seedream-5.0-pro/image-to-image", "--set", "aspect_ratio=1:1"]


def batcher(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_needs_no_obstore(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("prompt\na red kite\n")
    done = batcher(tmp_path, "run", "m.csv", "--simulate")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["m.csv", "--images", "s3://bucket/x"],
        ["s3://bucket/m.csv"],
        ["edit.csv", *EDIT, "--media", "s3://bucket/x"],
        ["linked.csv", *EDIT],
    ],
)
def test_what_needs_a_bucket_says_what_to_install(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "m.csv").write_text("prompt\na red kite\n")
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "edit.csv").write_text("prompt,image\na,cat.png\n")
    (tmp_path / "linked.csv").write_text("prompt,image\na,s3://bucket/cat.png\n")
    refused = batcher(tmp_path, "run", *words, "--simulate")
    assert refused.returncode == 64, refused.stderr
    assert "obstore, which is not installed" in refused.stderr
    assert "install" in refused.stderr.partition("not installed")[2]
