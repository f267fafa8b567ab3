"""Runs from Python: in a loop, in a thread, twice at once, left early, steered; against the real simulator."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import batcher

ROWS = [f"a kite over hill number {number}" for number in range(6)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_blocks_and_gives_the_report() -> None:
    report = batcher.run(ROWS[:2], out="run", simulate=True, rate=100)
    assert (report.done, report.total, report.exit_code, report.simulated) == (2, 2, 0, True)
    assert report.cost_usd == pytest.approx(0.04)
    assert str(report) == "run: 2 of 2 jobs done; $0.04 of play money"
    assert batcher.run(ROWS[:2], out="run", simulate=True).submits == 0  # the same call is the resume


def test_results_come_as_they_are_made_and_have_all_their_facts() -> None:
    async def main() -> list[Any]:
        async with batcher.start(ROWS, out="run", simulate=True, rate=100, matrix={"seed": [7]}) as run:
            results = [result async for result in run]
        assert run.report is not None
        assert run.report.done == 6
        return results

    results = asyncio.run(main())
    assert {result.prompt for result in results} == set(ROWS)
    for image in results:
        assert isinstance(image, batcher.Image)
        assert image.path.is_file()
        assert image.seed == 7
        assert len(image.sha256) == 64
        assert image.cost_usd == 0.02
        assert image.width
        assert image.request_id


def test_prompts_of_images_and_failures_are_what_went_to_the_models_own_input() -> None:
    asked: dict[str, Any] = {"model": "bytedance/seedream-4-0/sequential", "set": {"max_images": 1}, "rate": 100}
    with batcher.start(["a kite"], out="run", simulate=True, **asked) as run:
        (image,) = list(run)
    assert isinstance(image, batcher.Image)
    assert (image.prompt, image.inputs["text"]) == ("a kite", "a kite")
    with batcher.start([ROWS[0]], out="other", **failing()) as run:
        (failed,) = list(run)
    both = batcher.open(["run", "other"])
    assert [(one.prompt, one.job) for one in both.images()] == [("a kite", image.job)]
    assert [one.prompt for one in both.failures()] == [failed.prompt] == [ROWS[0]]


def test_jobs_that_fail_come_as_failures() -> None:
    rows = [{"prompt": "a kite", "meta": {"n": 1}}]
    with batcher.start(rows, out="run", **failing()) as run:
        (failed,) = list(run)
    assert isinstance(failed, batcher.Failed)
    assert failed.state is batcher.State.FAILED
    assert failed.cause
    assert batcher.open("run").failures() == [failed]
    assert run.report is not None
    assert run.report.exit_code == 3
    assert batcher.open("run").retry(dry_run=True)["reopened"] == 1


def failing() -> dict[str, Any]:
    return {"simulate": True, "rate": 100, "attempts": 1, "token_file": None, "fuse": "none"} | FAULT


FAULT: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def faults(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service on loopback that fails every job, for the test that asks for it."""
    if "fail" not in request.node.name:
        yield
        return
    program = [sys.executable, "-m", "batcher", "simulate", "--port", "0", "--fault", "result:failed:1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        url = service.stdout.readline().split()[-1]
        monkeypatch.setenv("RUNCOMFY_TOKEN", "a-token-of-the-test")
        FAULT.update(base_url=url, simulate=False, trust_host=["127.0.0.1"])
        yield
        FAULT.clear()
        service.terminate()


def test_it_works_inside_a_going_loop_in_a_thread_and_twice_at_once() -> None:
    reports = {}

    def other(name: str) -> None:
        reports[name] = batcher.run(ROWS[:2], out=name, simulate=True, rate=100)

    async def main() -> None:
        reports["loop"] = batcher.run(ROWS[:1], out="loop", simulate=True, rate=100)  # blocks, and does not complain

    threads = [threading.Thread(target=other, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    asyncio.run(main())
    for thread in threads:
        thread.join()
    assert {name: report.done for name, report in reports.items()} == {"loop": 1, "one": 2, "two": 2}


def test_leaving_the_loop_early_is_the_first_ctrl_c_and_the_next_start_collects() -> None:
    async def main() -> Any:
        async with batcher.start(ROWS, out="run", simulate=True, rate="4/s", repeat=10) as run:
            async for _ in run:
                break
        return run.report

    report = asyncio.run(main())
    assert (report.stopped_by, report.exit_code) == ("interrupted", 130)
    assert 0 < report.done < 60
    again = batcher.run(ROWS, out="run", simulate=True, rate=100, repeat=10)
    assert again.done == 60
    assert again.submits_total == 60  # nothing was paid twice


def test_cancelling_the_task_stops_the_run() -> None:
    first = asyncio.Event()

    async def main() -> None:
        async with batcher.start(ROWS, out="run", simulate=True, rate="4/s", repeat=20) as run:
            async for _ in run:
                first.set()

    async def cancelled() -> None:
        task = asyncio.create_task(main())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not batcher.open("run").going
    assert batcher.run("run", limit=1).exit_code == 4


def test_pause_resume_tune_and_stop() -> None:
    async def main() -> Any:
        async with batcher.start(ROWS * 3, out="run", simulate=True, rate="5/s", repeat=2) as run:
            await run.pause("lunch")
            await asyncio.sleep(2.5)
            paused = batcher.open("run").status().submits_total
            await asyncio.sleep(1.0)
            assert batcher.open("run").status().submits_total == paused
            with pytest.raises(batcher.UsageError, match="can't be changed"):
                run.tune(model="x")
            await run.tune(rate="50/s", reason="hungry")
            await run.resume()
            async for _ in run:
                if batcher.open("run").status().done > paused + 3:
                    await run.stop()
        return run.report

    report = asyncio.run(main())
    assert report.done > 3


def test_stop_for_every_result_is_still_one_ctrl_c() -> None:
    async def main() -> Any:
        async with batcher.start(ROWS, out="run", simulate=True, rate="20/s", repeat=20) as run:
            async for _ in run:
                for _ in range(3):
                    await run.stop()
        return run.report

    report = asyncio.run(main())
    assert report.exit_code == 130
    assert report.done + report.at_service + report.to_download == report.submits_total  # nothing was dropped


def test_a_run_that_was_not_entered_says_how() -> None:
    async def loop() -> None:
        async for _ in batcher.start(ROWS, out="run", simulate=True):
            pass

    async def waited() -> None:
        await batcher.start(ROWS, out="run", simulate=True)

    for wrong in (loop, waited):
        with pytest.raises(batcher.UsageError, match=r"async with batcher\.start"):
            asyncio.run(wrong())
    with pytest.raises(batcher.UsageError, match=r"async with batcher\.start"):
        batcher.start(ROWS, simulate=True).pause()
    assert not Path("run").exists()


def test_a_start_that_is_dropped_without_being_entered_is_warned_of() -> None:
    with pytest.warns(RuntimeWarning, match=r"nothing was run\. Use it so: async with batcher\.start"):
        batcher.start(ROWS, out="run", simulate=True)
    assert not Path("run").exists()


def test_a_run_is_entered_once() -> None:
    with batcher.start(ROWS[:1], out="run", simulate=True) as run:
        pass
    with pytest.raises(batcher.UsageError, match="already started") as refused:
        run.__enter__()
    assert "batcher.start again" in refused.value.hint


def test_results_are_read_in_another_loop_when_the_first_was_closed() -> None:
    first = asyncio.new_event_loop()
    run = batcher.start(ROWS, out="run", simulate=True, rate="20/s")
    first.run_until_complete(run.__aenter__())
    first.close()
    for use in (run.__anext__, lambda: run.__aexit__(None, None, None)):
        with pytest.raises(batcher.UsageError, match="no asyncio event loop is running") as refused:
            first.run_until_complete(use())
        assert "for result in run" in refused.value.hint

    async def rest() -> list[str]:
        return [result.prompt async for result in run]

    assert set(asyncio.run(rest())) == set(ROWS)


def test_an_error_in_the_loop_ends_the_run_in_good_order_and_is_the_one_that_is_raised() -> None:
    run = batcher.start(ROWS, out="run", simulate=True, rate="10/s")

    def work() -> None:
        with run:
            for result in run:
                raise LookupError(result.prompt)

    with pytest.raises(LookupError, match="a kite"):
        work()
    assert run.report is not None
    assert run.report.exit_code == 130
    assert batcher.run(ROWS, out="run", simulate=True, rate=100).submits_total == 6


def test_a_program_that_is_killed_is_started_again_and_pays_nothing_twice() -> None:
    program = (
        "import batcher, sys\n"
        "with batcher.start([f'hill {n}' for n in range(30)], out='run', simulate=True, rate='20/s') as run:\n"
        "    for result in run:\n        print(result.job, flush=True)\n"
        "print(run.report.submits_total, run.report.done)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(5)]
        process.kill()
        seen += process.stdout.read().split()
    again = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    total, done = map(int, again[-2:])
    assert not set(seen) & set(again[:-2])  # what was given before is not given again
    assert batcher.open("run").status().in_doubt == 30 - done
    assert total <= 30  # each was submitted once


def test_a_loop_that_was_closed_leaves_no_run_behind() -> None:
    loop = asyncio.new_event_loop()
    run = batcher.start(ROWS * 10, out="run", simulate=True, rate="2/s", repeat=2)
    loop.run_until_complete(run.__aenter__())
    loop.close()
    with pytest.raises(batcher.BusyError):
        batcher.run(ROWS, out="run", simulate=True)
    run.stop()
    _until(lambda: run.report is not None)
    assert run.report is not None
    assert run.report.stopped_by == "interrupted"


def test_two_starts_on_one_directory_are_refused_before_anything_is_written() -> None:
    with batcher.start(ROWS, out="run", simulate=True, rate="2/s") as run:
        before = Path("run/manifest.jsonl").read_text()
        with pytest.raises(batcher.BusyError) as refused:
            batcher.run(["something else"], out="run", simulate=True)
        assert refused.value.exit_code == 75
        assert Path("run/manifest.jsonl").read_text() == before
        run.stop()


def test_a_missing_token_is_an_error_with_its_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY", "YOUR_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(batcher.AccountError) as refused:
        batcher.run(ROWS, out="run")
    assert refused.value.exit_code == 77
    assert not Path("run").exists()


def test_what_is_printed_is_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    batcher.run(ROWS[:1], out="run", simulate=True, rate=100)
    assert capfd.readouterr() == ("", "")


def test_a_run_is_looked_at_picked_from_and_exported() -> None:
    batcher.run(ROWS, out="run", simulate=True, rate=100, matrix={"seed": range(2)})
    run = batcher.open("run")
    assert len(run.images()) == 12
    assert [image.seed for image in run.images("seed == 1")] == [1] * 6
    assert run.pick("seed == 1", "yes", stars=4, tags=["good"])["written"] == 6
    records = map(json.loads, Path("run/records.jsonl").read_text().splitlines())
    assert sum(record.get("pick") == "yes" for record in records) == 6  # as after `batcher pick`
    (first, *_) = run.images('pick == "yes" and stars > 3')
    assert (first.pick, first.tags) == ("yes", ("good",))
    assert run.pick(first, "clear")["written"] == 1
    assert len(run.images('pick == "yes"')) == 5
    assert run.verify() == []
    assert run.plan().to_submit == 0
    assert run.more(2, "seed == 1")["jobs"] == 12
    assert batcher.run("run").done == 24
    assert run.export("sets/x", to="imagefolder", where="seed == 1")["pictures"] == 6
    with pytest.raises(batcher.UsageError, match="ftp"):  # the address of a bucket is none of a folder
        run.export("ftp://host/sets", to="imagefolder")
    assert not Path("ftp:").exists()
    with pytest.raises(batcher.UsageError, match="no reader is called 'imagefolders'"):
        run.export("sets/y", to="imagefolders")
    assert "<img" in run.images()[:1]._repr_html_()
    assert "24 of 24" in run._repr_html_()
    with pytest.raises(batcher.UsageError, match="there is no sed"):
        run.images("sed == 1")
    with pytest.raises(batcher.UsageError, match="is not a run directory"):
        batcher.open("nothing")


def test_ctrl_c_in_a_blocking_run_puts_everything_away_and_is_raised() -> None:
    program = (
        "import batcher\n"
        "try:\n    batcher.run(['a kite'], out='run', simulate=True, rate='5/s', repeat=500)\n"
        "except KeyboardInterrupt:\n    print(batcher.open('run').status().facts['stopped_by'])"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        _until(lambda: list(Path("run").glob("images/**/*.png")), 40.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == ("interrupted\n", 0)


def test_importing_is_quick() -> None:
    program = "import time; began = time.process_time(); import batcher; print(time.process_time() - began)"
    tries = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout) for _ in "123"
    ]
    assert min(tries) < 0.1


def _until(holds: Any, limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
