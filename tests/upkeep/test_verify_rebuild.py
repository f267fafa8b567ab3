"""The state file made anew from sidecars: as it was, wherever the sidecars tell of it; and nothing is paid again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.job import Artifact, Entry, Job, State, job_key
from batcher.core.sidecar import sidecar
from batcher.manifest import Overrides
from batcher.runner import session
from batcher.runner.service import Options
from batcher.runner.sidecars import Untrue, checked_sidecar, copy_number, parse
from batcher.store.files.place import sidecar_text
from tests.support.finished_runs import JOBS, Run, flip, kinds
from tests.support.rude_server import answer, serving

NOTHING = Overrides(model=None, set=(), matrix=(), format=None, prompt_column=None, limit=None)
NOT_TOLD = {
    "jobs": {"accepted_at"},
    "attempts": {"job_id", "accepted_at"},
    "images": {"job_id", "warning"},
}


def rows_of_tables(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables, without what no sidecar tells of."""
    return {
        view: [{name: value for name, value in row.items() if name not in hidden} for row in run.rows(view)]
        for view, hidden in NOT_TOLD.items()
    }


def test_the_new_state_file_says_what_the_old_one_said(run: Run) -> None:
    before = rows_of_tables(run)
    run.forget_state()
    facts = run.verify("--repair")
    assert facts["exit_code"] == 0
    assert facts["rebuilt"] == {"jobs": JOBS, "unfinished": 0}
    assert rows_of_tables(run) == before
    assert [row["copy"] for row in run.rows("jobs")].count(2) == 4


@pytest.mark.parametrize("name", ["run", "fours"])
def test_without_records_too_but_for_the_order(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    before = rows_of_tables(run)
    run.forget_state()
    (run.folder / "records.jsonl").unlink()
    assert run.verify("--repair")["exit_code"] == 0
    assert {view: by_key(rows) for view, rows in rows_of_tables(run).items()} == {
        view: by_key(rows) for view, rows in before.items()
    }


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [{name: value for name, value in row.items() if name not in {"id", "position"}} for row in rows]
    return sorted(plain, key=lambda row: str(row.get("key") or row.get("file")))


def test_the_same_command_then_submits_nothing(run: Run) -> None:
    run.forget_state()
    assert run.verify("--repair")["exit_code"] == 0
    report = run.again()
    assert (report["done"], report["submits"], report["exit_code"]) == (JOBS, 0, 0)
    assert run.verify()["exit_code"] == 0


def test_without_a_repair_no_state_file_is_made_and_the_images_are_checked_all_the_same(run: Run) -> None:
    run.forget_state()
    flip(run.images()[3], 700)
    facts = run.verify()
    assert kinds(facts) == {"state_missing", "changed"}
    assert facts["images"] == JOBS
    assert not list(run.folder.glob("*.db*"))


def test_a_run_refuses_such_a_directory_and_names_the_way_out(run: Run) -> None:
    run.forget_state()
    report = run.again()
    assert report["exit_code"] == 64
    assert f"batcher verify {run.folder} --repair" in report["hint"]


def test_damage_is_mended_along_with_it(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.images()}
    run.forget_state()
    flip(run.images()[3], 700)
    run.images()[7].unlink()
    run.images()[9].with_suffix(".json").unlink()
    flip(run.images()[11].with_suffix(".json"), 30)
    facts = run.verify("--repair")
    assert facts["findings"] == []
    assert facts["rebuilt"]["jobs"] == JOBS
    assert {path: path.read_bytes() for path in run.images()} == before
    assert run.again()["submits"] == 0


def test_records_speak_for_a_sidecar_that_lies(run: Run) -> None:
    before = rows_of_tables(run)
    path = run.images()[3].with_suffix(".json")
    card = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**card, "inputs": {**card["inputs"], "prompt": "an owl"}}))
    run.forget_state()
    assert run.verify("--repair")["exit_code"] == 0
    assert rows_of_tables(run) == before


def test_an_image_that_nothing_speaks_for_is_kept_aside(run: Run) -> None:
    path = run.images()[3]
    picture = path.read_bytes()
    card = json.loads(path.with_suffix(".json").read_text("utf-8"))
    path.with_suffix(".json").write_text(json.dumps({**card, "inputs": {"prompt": "an owl"}}))
    (run.folder / "records.jsonl").unlink()
    run.forget_state()
    facts = run.verify("--repair")
    assert facts["rebuilt"]["jobs"] == JOBS - 1
    assert picture in [kept.read_bytes() for kept in run.aside()]


def test_what_is_left_of_the_old_state_file_is_not_played_into_the_new_one(run: Run) -> None:
    before = rows_of_tables(run)
    run.forget_state()
    (run.folder / "state.db-wal").write_bytes(b"a journal of other days" * 100)
    assert run.verify("--repair")["exit_code"] == 0
    assert rows_of_tables(run) == before
    assert any("wal" in path.name for path in run.aside())


def test_jobs_that_failed_or_are_in_doubt_come_back_as_such(run: Run) -> None:
    """Else the next run would submit them, and maybe pay for them, once more."""
    moved = ("DELETE FROM images WHERE job_id IN (4, 5, 6)",)
    for statement in moved:
        run.write_state(statement)
    run.write_state("UPDATE meta SET value = 'null' WHERE name = 'tables'")
    for state, number in (("failed", 4), ("in_doubt", 5), ("failed", 6)):
        update = "UPDATE jobs SET state = ?, cause = 'timeout', message = 'no answer' WHERE id = ?"
        run.write_state(update, state, number)
    run.write_state("UPDATE jobs SET outcome = 'rejected', request_id = NULL WHERE id = 6")
    for row in run.rows("jobs")[3:6]:
        for suffix in (".png", ".json"):
            (run.folder / f"{row['path']}{suffix}").unlink()
    assert run.again()["failed"] == 2
    before = {row["key"]: (row["state"], row["request_id"], row["cause"], row["attempts"]) for row in run.rows("jobs")}
    run.forget_state()
    facts = run.verify("--repair")
    assert facts["rebuilt"] == {"jobs": JOBS - 3, "unfinished": 3}
    failures = [json.loads(line) for line in (run.folder / "failures.jsonl").read_text("utf-8").splitlines()]
    assert [row["retry"] for row in failures] == [
        "batcher retry run --cause timeout", "batcher retry run --cause timeout",
        "batcher retry run --state in_doubt --cause timeout",
    ]  # fmt: skip
    after = {row["key"]: (row["state"], row["request_id"], row["cause"], row["attempts"]) for row in run.rows("jobs")}
    assert {key: row for key, row in after.items() if row[0] == "done"} == {
        key: row for key, row in before.items() if row[0] == "done"
    }
    assert sorted(row[0] for row in after.values()) == sorted(row[0] for row in before.values())
    assert {key: row[3] for key, row in after.items()} == {key: row[3] for key, row in before.items()}
    report = run.again()
    assert (report["submits"], report["failed"], report["in_doubt"]) == (0, 2, 1)


def test_simulated_and_real_images_are_not_mixed_in_one_state_file(run: Run) -> None:
    run.forget_state()
    (run.folder / "records.jsonl").unlink()
    path = run.images()[3].with_suffix(".json")
    path.write_text(path.read_text("utf-8").replace('"simulated": true', '"simulated": false'))
    facts = json.loads(run.say("--repair", "--json")[1])
    assert facts["exit_code"] == 64
    assert "simulated and real" in facts["error"]
    assert not (run.folder / "state.db").exists()


def test_a_rebuilt_run_of_simulated_images_is_not_continued_for_real(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.forget_state()
    assert run.verify("--repair")["exit_code"] == 0
    monkeypatch.setenv("RUNCOMFY_TOKEN", "a-token")
    manifest = str(run.folder.parent / "manifest.yaml")

    async def for_real() -> list[str]:
        async with serving(answer({"base_price_usd": 0.02, "price_unit": "image"})) as real:
            options = Options(manifest=manifest, out=str(run.folder), overrides=NOTHING, base_url=real.base_url)
            with pytest.raises(UsageError, match="holds simulated images; they are not mixed"):
                await session.run(options)
            return [seen.method for seen in real.seen]

    assert "POST" not in asyncio.run(for_real())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INPUTS = st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none(), max_size=4)


JOB = Job(key="", model="", inputs={}, copy=1, prompt_id="", meta={}, source="", line=1, path="")
ENTRY = Entry(id=1, job=JOB, state=State.DONE, path="")
ARTIFACT = Artifact(
    file="", bytes=0, sha256="", mime="", width=0, height=0, url="", output_index=0, output_count=1, downloaded_at=0
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)
FIELDS = sorted(sidecar(ENTRY, ARTIFACT, simulated=True, version=""))


@given(inputs=INPUTS, copy=st.integers(1, 300))
def test_the_copy_number_is_found_in_the_key(inputs: dict[str, Any], copy: int) -> None:
    key = job_key("vendor/model", inputs, copy)
    assert copy_number(key, "vendor/model", inputs) == copy


def test_a_key_that_no_copy_number_makes_is_refused() -> None:
    with pytest.raises(Untrue):
        copy_number("0" * 32, "vendor/model", {"prompt": "a kite"})


@given(ANYTHING)
def test_whatever_stands_in_a_sidecar_is_answered_and_never_raised(value: Any) -> None:
    with pytest.raises(Untrue):
        checked_sidecar(value if isinstance(value, dict) else {"schema": value}, "images/a.json")


@pytest.mark.parametrize("inputs", ['{"seed": 1e999}', r'{"prompt": "\ud800"}'])
def test_inputs_that_no_run_can_have_sent_are_refused(finished: Path, inputs: str) -> None:
    values = parse(next((finished / "images").rglob("*.json")).read_bytes())
    with pytest.raises(Untrue, match="can't be sent"):
        checked_sidecar({**values, "inputs": json.loads(inputs)}, None)


@given(name=st.sampled_from(FIELDS), value=ANYTHING)
def test_a_sidecar_with_a_strange_value_is_believed_or_refused_and_nothing_else(
    finished: Path, name: str, value: Any
) -> None:
    path = next((finished / "images").rglob("*.json"))
    card = {**json.loads(path.read_text("utf-8")), name: value}
    try:
        checked_sidecar(card, path.relative_to(finished).as_posix())
    except Untrue:
        return


def test_a_sidecar_tells_all_that_it_is_made_from(finished: Path) -> None:
    for path in (finished / "images").rglob("*.json"):
        fields = parse(path.read_bytes())
        card = checked_sidecar(fields, path.relative_to(finished).as_posix())
        again = sidecar(card.entry, card.artifact, simulated=card.simulated, version=card.version)
        assert sidecar_text(again) == path.read_bytes()
        more = parse(sidecar_text({**fields, "chosen": {"time": "dawn"}, "c2pa": True}))
        card = checked_sidecar(more, None)
        again = sidecar(card.entry, card.artifact, simulated=card.simulated, version=card.version)
        assert list(again.items()) == list(more.items())


@pytest.mark.parametrize("name", ["submitted_at", "finished_at", "downloaded_at", "bytes", "source.line"])
def test_a_field_that_is_not_as_it_must_be_is_named(finished: Path, name: str) -> None:
    values = parse(next((finished / "images").rglob("*.json")).read_bytes())
    outer, _, inner = name.partition(".")
    with pytest.raises(Untrue, match=rf"at `\$\.{name}`"):
        checked_sidecar({**values, outer: {**values[outer], inner: "noon"} if inner else "noon"}, None)
