"""The data of the page: verdicts, filters, changes as they come, and runs that are not as they should be."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.runner import tuning
from batcher.store import picks
from batcher.store.picks import PICKS
from batcher.view import static
from batcher.view.run_reader import RunReader
from batcher.view.runs import Runs
from batcher.view.server import FILES
from batcher.view.thumbs import place
from tests.support import raw_http
from tests.support.big_run import make_run
from tests.support.browser import Served, page_server
from tests.support.raw_http import ask, page_headers

N = "/runs/night"


def index(server: Served) -> Any:
    import zlib  # noqa: PLC0415

    return json.loads(zlib.decompress(ask(server, f"{N}/index", **page_headers(server)).body))


def keys(run: Path) -> list[str]:
    connection = sqlite3.connect(run / "state.db")
    keys_in_order = [key for (key,) in connection.execute("SELECT key FROM jobs ORDER BY id")]
    connection.close()
    return keys_in_order


def pick(server: Served, *verdicts: dict[str, Any]) -> Any:
    return ask(server, f"{N}/picks", method="POST", body={"verdicts": verdicts}, **page_headers(server))


def changed(server: Served, since: str, want: str) -> Any:
    """The first message behind ``since`` that has such a part."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        answer = ask(server, f"{N}/changes?since={since}", **page_headers(server)).json
        for message in answer["messages"]:
            if want in message:
                return message[want]
        time.sleep(0.05)
    raise AssertionError(f"no {want} came")


def test_the_index_has_every_job_with_its_group_and_its_axes(served: Served) -> None:
    listing = index(served)
    items, tables = listing["items"], listing["tables"]
    assert len(items["k"]) == 36
    assert listing["axes"]["rows"] == "seed"
    assert listing["axes"]["cols"] == "aspect_ratio"
    assert len(tables["groups"][1]) == 9
    assert tables["groups"][1][1] == [0, "1:1"]
    assert items["s"][5:7] == ["f", "p"]
    assert items["q"][:5] == [0, 1, 2, 3, 0]
    assert tables["troubles"][1][items["e"][5]] == ["failed", "content policy: refused by the filter"]
    assert (items["w"][0], items["h"][0]) == (352, 192)
    assert items["w"][6] / items["h"][6] == pytest.approx(1, abs=0.01)  # the shape that was asked for


def test_all_javascript_of_the_page_is_below_sixty_thousand_bytes() -> None:
    assert sum(path.stat().st_size for path in FILES.values() if path.suffix == ".js") < 60_000


def test_a_verdict_is_one_line_with_the_hash_of_what_was_looked_at(served: Served, run: Path) -> None:
    key = keys(run)[0]
    assert pick(served, {"job": key, "pick": "yes", "stars": 4, "tags": ["sky"]}).status == 200
    (line,) = (run / PICKS).read_text().splitlines()
    facts = json.loads(line)
    assert facts["pick"] == "yes"
    assert facts["sha256"] == RunReader(run).shas([(key, 0)])[key, 0]
    assert facts["at"] > "2026"


def test_two_pages_that_pick_at_once_see_each_other(served: Served, run: Path) -> None:
    key, other = keys(run)[:2]
    at = index(served)["at"]
    with page_server(run) as second:
        assert pick(second, {"job": key, "pick": "no"}).status == 200
        assert pick(served, {"job": other, "pick": "yes"}).status == 200
    seen = {one[0]: one[2] for one in changed(served, at, "picks")}
    assert seen[key] == "no"
    assert len((run / PICKS).read_text().splitlines()) == 2


def test_half_a_line_that_a_power_cut_left_spoils_neither_the_page_nor_the_next_verdict(run: Path) -> None:
    first, second = keys(run)[:2]
    picks.append(run, [picks.Verdict(job=first, pick="yes")])
    with (run / PICKS).open("a") as file:
        file.write('{"job": "abc')
    with page_server(run) as server:
        assert [one[0] for one in index(server)["picks"]] == [first]
        assert pick(server, {"job": second, "pick": "no"}).status == 200
        end = time.monotonic() + 10
        while len(index(server)["picks"]) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert {one[0] for one in index(server)["picks"]} == {first, second}
        assert index(server)["facts"]["unreadable_picks"] == 1


def test_verdicts_on_jobs_that_are_gone_harm_nothing(run: Path) -> None:
    picks.append(run, [picks.Verdict(job="f" * 32, pick="yes")])
    with page_server(run) as server:
        assert len(index(server)["items"]["k"]) == 36
        assert pick(server, {"job": "f" * 32, "pick": "yes"}).status == 400
        assert pick(server, {"job": "f" * 32, "pick": None}).status == 200  # may be taken back


def test_a_full_disk_is_an_error_in_words_and_no_verdict(served: Served, run: Path) -> None:
    (run / PICKS).symlink_to("/dev/full")
    answer = pick(served, {"job": keys(run)[0], "pick": "yes"})
    assert answer.status == 507
    assert "picks.jsonl" in answer.json["error"]


@pytest.mark.parametrize(
    ("text", "count"),
    [('seed == 1 and aspect_ratio == "1:1"', 3), ('state == "failed"', 1), ('pick == "yes"', 1), ('"sky" in tags', 1),
     ('meta.category == "c1"', 12), ("stars >= 4", 1), ('cause == "content_policy"', 1), ('"number 2" in prompt', 12)],
)  # fmt: skip
def test_the_filter_speaks_the_language_of_where(run: Path, text: str, count: int) -> None:
    from batcher.view import filtering  # noqa: PLC0415

    picks.append(run, [picks.Verdict(job=keys(run)[0], pick="yes", stars=4, tags=("sky",))])
    reader = RunReader(run)
    reader.load()
    assert len(filtering.matching(reader, text, {})[0]) == count
    reader.close()


def test_a_filter_that_can_not_be_read_says_where_and_what(served: Served) -> None:
    answer = ask(served, f"{N}/where?q=sed%20%3D%3D%201", **page_headers(served))
    assert answer.status == 400
    assert "column 1" in answer.json["error"]
    assert "did you mean seed?" in answer.json["hint"]


def test_what_happens_in_the_run_comes_within_a_second(served: Served, run: Path) -> None:
    listing = index(served)
    connection = sqlite3.connect(run / "state.db")
    connection.execute("UPDATE jobs SET state = 'failed', cause = 'timeout', message = 'late' WHERE id = 7")
    connection.commit()
    items = changed(served, listing["at"], "items")
    assert items["s"] == ["f"]
    assert items["n"] == [7000]
    connection.close()


def test_what_to_type_next_knows_what_tune_set(run: Path) -> None:
    with page_server(run) as server:
        assert index(server)["facts"]["words"]["resume"] == "batcher run night.yaml"
    tuning.tune(run, pause=True)
    with page_server(run) as server:
        words = index(server)["facts"]["words"]
    assert words["way_on"] == "It is paused. Go on with:"
    assert words["resume"] == f"batcher tune {run} --resume && batcher run night.yaml"


def test_a_state_file_that_was_made_anew_is_read_anew(served: Served, run: Path) -> None:
    at = index(served)["at"]
    make_run(run.parent / "other", 8)
    for name in ("state.db-wal", "state.db-shm"):
        (run / name).unlink(missing_ok=True)
    (run.parent / "other/state.db").replace(run / "state.db")
    assert changed(served, at, "reset") is True
    assert len(index(served)["items"]["k"]) == 8


def test_a_state_file_that_is_gone_is_said_with_the_way_out(served: Served, run: Path) -> None:
    at = index(served)["at"]
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (run / name).unlink(missing_ok=True)
    problem = changed(served, at, "problem")
    assert "--repair" in problem["hint"]
    assert ask(served, f"{N}/index", **page_headers(served)).status == 400


def test_a_page_of_a_run_that_lost_its_state_file_opens_and_says_so(run: Path) -> None:
    (run / "state.db").unlink()
    with page_server(run) as server:
        assert "--repair" in ask(server, f"{N}/index", **page_headers(server)).json["hint"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            Runs([path])


def test_a_folder_of_runs_shows_all_of_them(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 4)
    make_run(tmp_path / "two", 8)
    with page_server(tmp_path) as server:
        answer = ask(server, "/runs", **page_headers(server)).json
        assert answer["many"] is True
        assert {one["name"]: one["done"] for one in answer["runs"]} == {"one": 4, "two": 8}
        assert ask(server, "/runs/one/changes?since=x", **page_headers(server)).status == 200
        assert ask(server, "/runs/three/index", **page_headers(server)).status == 404


def test_thumbnails_are_kept_by_content_and_images_may_be_kept_for_ever(served: Served, run: Path) -> None:
    key = keys(run)[0]
    sha = RunReader(run).shas([(key, 0)])[key, 0]
    answer = ask(served, f"{N}/thumb/{key}/0?{sha[:8]}", **page_headers(served))
    assert answer.status == 200
    assert answer.body[8:12] == b"WEBP"
    assert place(run, sha).read_bytes() == answer.body
    whole = ask(served, f"{N}/picture/{key}/0?{sha[:8]}", **page_headers(served))
    assert "immutable" in whole.headers["cache-control"]
    assert whole.headers["content-type"] == "image/png"
    assert whole.body == (run / "images/16x9-395b64.png").read_bytes()


def test_an_image_that_is_gone_or_damaged_is_said_with_the_way_out(served: Served, run: Path) -> None:
    first, second, third = keys(run)[0:3]
    (run / "images/16x9-395b64.png").unlink()
    (run / "images/16x9-a5c9ca.png").write_bytes(b"short")
    size = (run / "images/16x9-e7f6f2.png").stat().st_size
    (run / "images/16x9-e7f6f2.png").write_bytes(b"x" * size)
    for key in (first, second):
        answer = ask(served, f"{N}/thumb/{key}/0", **page_headers(served))
        assert answer.status == 404
        assert "again, free" in answer.json["error"]
        assert answer.json["hint"] == f"batcher verify {run} --repair"
    assert ask(served, f"{N}/thumb/{third}/0", **page_headers(served)).status == 422
    assert ask(served, f"{N}/thumb/{keys(run)[3]}/0", **page_headers(served)).status == 200  # thumbnails go on


def test_a_job_tells_its_inputs_cost_and_attempts(served: Served, run: Path) -> None:
    facts = ask(served, f"{N}/job/{keys(run)[0]}", **page_headers(served)).json
    assert facts["inputs"]["seed"] == 0
    assert facts["cost_usd"] == 0.02
    assert facts["attempts"][0]["request_id"] == "r-0"
    assert ask(served, f"{N}/job/{'0' * 32}", **page_headers(served)).status == 400


def test_tune_retry_and_more_ask_before_they_act(served: Served, run: Path) -> None:
    def post(what: str, **body: Any) -> Any:
        return ask(served, f"{N}/{what}", method="POST", body=body, **page_headers(served)).json

    assert post("tune", pause=True, reason="lunch")["control"]["paused"] is True
    assert json.loads((run / "control.json").read_text())["paused"] is True
    assert "rate" in post("tune", rate="fast")["error"]
    assert post("retry", states=["failed"])["reopened"] == 1
    assert state_of(run, 6) == "failed"  # only asked
    assert post("retry", states=["failed"], dry_run=False)["reopened"] == 1
    assert state_of(run, 6) == "pending"
    asked = post("more", seeds=2)
    assert (asked["groups"], asked["jobs"], asked["cost_usd"]) == (9, 18, 0.36)
    assert not (run / "additions.jsonl").exists()
    post("more", seeds=2, dry_run=False)
    assert len((run / "additions.jsonl").read_text().splitlines()) == 18


def state_of(run: Path, number: int) -> str:
    connection = sqlite3.connect(run / "state.db")
    (state,) = connection.execute("SELECT state FROM jobs WHERE id = ?", (number,)).fetchone()
    connection.close()
    return str(state)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_with_view_says_the_address_first_and_its_page_ends_with_it(tmp_path: Path, as_json: bool) -> None:

    (tmp_path / "prompts.txt").write_text("a heron\n" * 60)
    words = [
        "run",
        "prompts.txt",
        "--simulate",
        "-o",
        "night",
        "--rate",
        "1/s",
        "--view",
        *(["--json"] if as_json else []),
    ]
    command = [sys.executable, "-m", "batcher", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        line = next(line for line in run.stderr if line.startswith("http")) if as_json else run.stdout.readline()
        server = Served(line.strip(), run.pid)
        assert ask(server, "/runs", **page_headers(server)).json["runs"][0]["name"] == "night"
        tuning.tune(tmp_path / "night", rate="500/s")  # till now it had a minute to go
        rest = run.communicate()[0]
    assert run.returncode == 0
    if as_json:
        assert json.loads(rest)["done"] == 60
    with contextlib.suppress(ConnectionError):  # unless somebody else listens there by now, who does not know its token
        assert ask(server, "/runs", **page_headers(server)).status != 200


def test_the_page_beside_a_run_that_is_killed_ends_too(tmp_path: Path) -> None:

    (tmp_path / "prompts.txt").write_text("a heron\n" * 60)
    words = ["run", "prompts.txt", "--simulate", "-o", "night", "--rate", "1/s", "--view"]
    command = [sys.executable, "-m", "batcher", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        server = Served(run.stdout.readline().strip(), run.pid)
        assert ask(server, "/runs", **page_headers(server)).status == 200
        run.kill()
        run.communicate()  # till the page has closed the streams that it had from the run: it is over


def test_a_page_that_is_killed_changes_nothing(run: Path) -> None:

    before = (run / "state.db").read_bytes()
    with page_server(run) as server:
        index(server)
        os.kill(server.pid, signal.SIGKILL)
    assert (run / "state.db").read_bytes() == before


STUCK = """
import sys, time
from batcher import __main__
from batcher.view import changes, live
__main__.LAST = live._LAST = 0.5
changes.more = changes.undo = lambda *_: time.sleep(1_000)  # a disk that never answers
sys.exit(__main__.entry())
"""


@pytest.mark.parametrize("stuck", ["more", "undo"])
def test_a_page_whose_disk_never_answers_ends_at_the_first_ctrl_c(
    run: Path, stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", STUCK, "view", str(run), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Served(process.stdout.readline().strip(), process.pid)
        monkeypatch.setattr(raw_http, "PATIENCE", 1.0)
        with pytest.raises(TimeoutError):
            ask(server, f"{N}/{stuck}", method="POST", body={}, **page_headers(server))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_static_page_has_everything_beside_it(run: Path, tmp_path: Path) -> None:
    words = static.export(run, tmp_path / "gallery")
    assert "34 images" in words
    gallery = tmp_path / "gallery"
    assert {"index.html", "page.js", "data.js", "style.css", "icon.svg"} <= {path.name for path in gallery.iterdir()}
    assert len(list((gallery / "thumbs").iterdir())) == 34
    data = json.loads((gallery / "data.js").read_text().removeprefix("globalThis.BATCHER=").rstrip(";\n"))
    assert all((gallery / file).is_file() for file in data["files"].values())
    static.export(run, gallery)  # again, into its own folder
    with pytest.raises(UsageError):
        static.export(run, run)


def test_the_static_page_leaves_out_an_image_that_can_not_be_decoded_and_says_so(run: Path, tmp_path: Path) -> None:
    damaged = next((run / "images").rglob("*.png"))
    damaged.write_bytes(bytes(damaged.stat().st_size))
    assert "1 image was missing or damaged and left out" in static.export(run, tmp_path / "gallery")
