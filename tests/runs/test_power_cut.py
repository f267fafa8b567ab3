"""A power cut: what was forced to the disk is there, and nothing else. Where root may mount a loop device."""

import re
from pathlib import Path

import pytest

from tests.runs.test_dying_disk import JOBS, SLOW, Desk
from tests.support.lost_disk import NO_FLUSH, lost_disk
from tests.support.simulator_process import service


@pytest.mark.parametrize("submits", [2, 12, 25])
def test_after_a_power_cut_every_job_is_done_or_in_doubt_and_none_was_paid_for_twice(
    tmp_path: Path, submits: int
) -> None:
    with lost_disk(tmp_path) as disk, service(tmp_path, SLOW) as origin:
        desk = Desk(tmp_path, origin)
        run = disk.place / "run"
        going = desk.start(run)
        desk.until_in_the_air(going, submits)
        going.kill()  # first, so that it saves nothing elsewhere
        disk.die(NO_FLUSH)
        going.communicate()
        disk.come_back()
        journal = run / ".departures.jsonl"
        if journal.exists():  # the machine was started anew: what is left of it is of another boot
            journal.write_bytes(re.sub(rb'"boot": "[^"]*"', b'"boot": "another"', journal.read_bytes()))
        again = desk.start(run)
        out, complained = again.communicate(timeout=120)
        assert again.returncode in {0, 5}, complained
        stats = desk.stats()
    doubt = re.search(r"(\d+) in doubt", out)
    done = re.match(r"(\d+) of", out)
    assert done is not None, out
    assert int(done[1]) + (int(doubt[1]) if doubt else 0) == JOBS
    assert stats["charges_per_input"]["max"] == 1
