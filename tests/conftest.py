"""How the whole suite runs in little time, for ``pytest -n auto``."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.needs import need_buckets

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

# What takes over two seconds on an idle machine, and so has the marker `slow`: whole folders, and tests by name.
SLOW_FOLDERS = {"crash", "disk", "fuzz", "storms"}
SLOW = {
    "runTest",  # the store's random walks
    "test_a_file_of_very_many_pieces_takes_the_memory_of_its_own_size",
    "test_a_paused_run_submits_nothing_collects_what_is_there_and_goes_on_when_told",
    "test_a_text_chunk_that_unpacks_to_hundreds_of_megabytes_costs_one_file_and_little_memory",
    "test_a_wall_clock_that_jumps_an_hour_ends_no_job_and_submits_none_twice",
    "test_an_outage_costs_only_what_was_in_the_air_and_a_handful",
    "test_answers_that_stay_hostile_about_one_job_cost_that_job",
    "test_any_record_can_be_embedded",
    "test_every_tile_has_its_place_and_no_page_is_over_the_caps",
    "test_files_of_millions_of_tiny_pieces_do_not_take_the_processor_for_minutes",
    "test_groups_make_what_a_manifest_for_each_group_would_make",
    "test_json_that_is_deep_or_wide_or_long_is_read_or_refused_at_once",
    "test_killed_at_any_moment_no_half_file_has_a_name_and_the_same_command_ends_it",
    "test_no_bit_of_an_image_a_sidecar_or_the_records_changes_unseen",
    "test_nobody_sees_the_token_in_the_process_list_or_in_the_files_of_a_going_run",
    "test_nothing_more_is_paid_for_while_no_file_can_be_had",
    "test_quick_rejections_between_slow_pictures_are_no_row",
    "test_slow_files_do_not_hold_up_submits",
    "test_the_largest_picture_that_is_let_through_stays_within_the_memory_we_promise",
    "test_the_rate_is_kept_to_the_submit",
    "test_two_runs_of_the_same_night_agree_in_every_number",
}

settings.register_profile("no clock", deadline=None)  # other tests have the processors at the same time
settings.load_profile("no clock")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # batcher is started some hundred times and need be compiled once only

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a script put in the background
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start must not inherit it: they send it


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors: half of the time, a test waits for another process, for the disk or for a clock."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = Path(item.path).parent.name
        if folder in SLOW_FOLDERS or getattr(item, "originalname", item.name) in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ObjectStore]":
    """One S3 server for all tests; each makes a bucket, or a prefix, of its own."""
    need_buckets()
    from tests.support.object_store import object_store  # noqa: PLC0415  needs the extra

    with object_store(tmp_path_factory.mktemp("weed")) as found:
        yield found
