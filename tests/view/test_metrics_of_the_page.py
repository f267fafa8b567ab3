"""``/metrics`` of a page, read back by Prometheus' own parser."""

from pathlib import Path

import pytest

from tests.support.browser import Served
from tests.support.raw_http import ask, known

parser = pytest.importorskip("prometheus_client.parser", reason="the extra `metrics` is not installed")


def test_the_page_serves_the_numbers_of_its_run(served: Served, run: Path) -> None:
    answer = ask(served, "/metrics", **known(served))
    assert answer.status == 200
    text = answer.body.decode()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["batcher_jobs", "done"] == 34
    assert found["batcher_jobs", "failed"] == found["batcher_jobs", "pending"] == 1
    assert found["batcher_in_flight",] == found["batcher_pace_per_second",] == 0
    assert str(run) not in text
