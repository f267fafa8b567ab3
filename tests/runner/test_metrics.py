"""Metrics, read back by Prometheus' own parser."""

from pathlib import Path

import pytest

from batcher.__main__ import main
from batcher.store import StateFile

parser = pytest.importorskip("prometheus_client.parser", reason="the extra `metrics` is not installed")


def read(path: Path) -> dict[str, float]:
    """By name and labels."""
    families = parser.text_string_to_metric_families(path.read_text())
    return {
        sample.name + "".join(f"/{value}" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("a kite\na hill\na house\n")


def run(*more: str) -> int:
    return main(["run", "p.txt", "--simulate", "--progress", "none", "--metrics", "m.prom", "--budget", "1", *more])


def test_the_numbers_are_those_of_the_run_directory_after_a_resume_too() -> None:
    assert run("--limit", "1") == 4
    first = read(Path("m.prom"))
    assert first["batcher_jobs/done"] == 1
    assert "batcher_last_success_timestamp_seconds" not in first
    assert run() == 0
    metrics = read(Path("m.prom"))
    assert (metrics["batcher_jobs/done"], metrics["batcher_jobs/pending"]) == (3, 0)
    assert metrics["batcher_submits_total/saved"] == 3
    assert metrics["batcher_spent_usd"] == pytest.approx(0.06)
    assert metrics["batcher_reserved_usd"] == 0
    assert metrics["batcher_budget_usd"] == 1
    assert metrics["batcher_in_flight"] == 0
    assert metrics["batcher_pace_per_second"] == 0
    assert metrics["batcher_refused_total"] == 0
    assert metrics["batcher_job_seconds_count"] == metrics["batcher_job_seconds_bucket/+Inf"] == 3
    assert 0 < metrics["batcher_job_seconds_sum"] < 60
    assert metrics["batcher_last_success_timestamp_seconds"] >= metrics["batcher_last_change_timestamp_seconds"] - 1
    text = Path("m.prom").read_text()
    assert "kite" not in text
    for name in ("batcher_jobs", "batcher_submits_total", "batcher_job_seconds"):
        assert f"# TYPE {name}" in text


def test_a_file_that_cant_be_written_is_said_once_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "p.txt", "--simulate", "--progress", "none", "--metrics", "no/such/m.prom"]
    assert main(command) == 0
    assert capsys.readouterr().err.count("--metrics no/such/m.prom can't be written") == 1


def test_the_numbers_of_a_state_file_with_nothing_in_it() -> None:
    from contextlib import closing  # noqa: PLC0415

    from batcher.runner.watchers.metrics import text  # noqa: PLC0415

    Path("run").mkdir()
    state = StateFile(Path("run/state.db"))
    with closing(state):
        assert b"batcher_job_seconds_count 0.0" in text(state.connection, going=False)
