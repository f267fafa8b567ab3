"""A simulator in a process of its own, for tests whose batcher is one too."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROFILE = "latency: 0.15\nfaults:\n  - {where: submit, kind: slow, seconds: 0.15}\n"


@contextmanager
def service(folder: Path, profile: str = PROFILE) -> Iterator[str]:
    """A simulator process of its own; gives its origin. profile: as YAML."""
    path = folder / "profile.yaml"
    path.write_text(profile)
    command = [sys.executable, "-m", "batcher.simulator", "--port", "0", "--profile", str(path), "--exit-with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            yield str(json.loads(child.stdout.readline())["origin"])
        finally:
            child.stdin.close()
            child.wait(10)
