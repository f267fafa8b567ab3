"""``/metrics`` of a page, read back by Prometheus' own parser."""

from pathlib import Path

import pytest

from tests.support.browser import Served
from tests.support.raw_http import ask, page_headers

parser = pytest.importorskip("prometheus_client.parser", reason="the extra `metrics` is not installed")


def test_the_page_serves_the_numbers_of_its_run(served: Served, run: Path) -> None:
    answer = ask(served, "/metrics", **page_headers(served))
    assert answer.status == 200
    text = answer.body.decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["batcher_jobs", "done"] == 34
    assert samples["batcher_jobs", "failed"] == samples["batcher_jobs", "pending"] == 1
    assert samples["batcher_in_flight",] == samples["batcher_pace_per_second",] == 0
    assert str(run) not in text
