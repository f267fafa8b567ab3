"""A run directory whose pictures are in a bucket of a real S3 server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.object_store import ObjectStore, obstore


class Place:
    """A folder, a run directory in it, and a bucket of its own."""

    def __init__(self, folder: Path, server: ObjectStore, bucket: str) -> None:
        self.server = server
        self.folder = folder
        self.dir = folder / "run"
        self.prefix = folder.name.lower().replace("_", "-")
        self.url = f"s3://{bucket}/{self.prefix}"
        self.store = server.store(bucket, self.prefix)
        obstore.put(server.store(bucket, "warm-up"), "a", b"a")  # a bucket is made with its first object

    @staticmethod
    def command(*words: object) -> list[str]:
        return [sys.executable, "-m", "batcher", *map(str, words)]

    def batcher(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env={**os.environ, **self.server.environment, **environment}, capture_output=True,
            text=True, timeout=120, check=False, cwd=self.folder,
        )  # fmt: skip

    def objects(self) -> set[str]:
        return {meta["path"] for lot in obstore.list(self.store) for meta in lot}


class Run(Place):
    """A run directory whose pictures are in a bucket of their own."""

    def __init__(self, folder: Path, server: ObjectStore) -> None:
        super().__init__(folder, server, "runs")
        (folder / "m.csv").write_text("prompt\na red kite\na heron\n", encoding="utf-8")

    def run(self, jobs: int = 6, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.batcher(*self.words(jobs), **environment)

    def words(self, jobs: int) -> list[str]:
        flags = ["--simulate", "--images", self.url, "--matrix", f"seed=1..{jobs // 2}", "--rate", "200/s"]
        return ["run", "m.csv", "-o", str(self.dir), *flags, "--progress", "none"]

    def pictures(self) -> set[str]:
        return {name for name in self.objects() if name.endswith(".png")}

    def submits(self) -> int:
        lines = (self.dir / ".simulator.jsonl").read_text(encoding="utf-8").splitlines()
        return sum(1 for line in lines if '"inputs"' in line)
