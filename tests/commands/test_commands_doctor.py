"""``batcher doctor``: each thing that can be wrong is named with its fix, and nothing is paid or changed."""

from pathlib import Path

import pytest

from batcher.store import disk_check
from tests.support.command_line import TOKEN, Shell
from tests.support.rude_server import RudeServer, answer


def checks(came_json: dict[str, list[dict[str, str]]]) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in came_json["checks"]}


def test_a_good_token_is_accepted_with_the_balance_and_nothing_is_paid(shell: Shell, service: RudeServer) -> None:
    service.answers[:] = [answer({"error": "not found", "error_code": 404001}, 404), answer({"balance_usd": 12.5})]
    came = shell("doctor", "--json")
    results = checks(came.json)
    assert came.code == 0, came
    assert results["token"]["state"] == "ok"
    assert "RUNCOMFY_TOKEN" in results["token"]["what"]
    assert "$12.50" in results["token"]["what"]
    assert results["service"]["state"] == "ok"
    assert {seen.method for seen in service.seen} == {"GET"}
    assert TOKEN not in came.out + came.err


@pytest.mark.parametrize(("status", "code"), [(401, None), (400, 400004), (403, 403003)])
def test_a_refused_token_is_bad_and_says_where_it_came_from(
    shell: Shell, service: RudeServer, status: int, code: int | None
) -> None:
    body = {"message": f"no: {TOKEN}"} | ({"error_code": code} if code else {})
    service.answers[:] = [answer(body, status)]
    came = shell("doctor", "--json")
    assert came.code == 3
    result = checks(came.json)["token"]
    assert result["state"] == "bad"
    assert "RUNCOMFY_TOKEN" in result["what"]
    assert "Profile" in result["fix"]
    assert TOKEN not in came.out + came.err
    assert len(service.seen) == 1  # a refused token is not shown to the account's side


@pytest.mark.parametrize("status", [500, 503, 302])
def test_a_service_that_is_ill_is_bad_and_says_nothing_of_the_token(
    shell: Shell, service: RudeServer, status: int
) -> None:
    service.answers[:] = [answer({"message": "down"}, status)]
    came = shell("doctor", "--json")
    assert came.code == 3
    assert checks(came.json)["service"]["state"] == "bad"
    assert checks(came.json)["token"]["state"] == "warn"


def test_an_empty_balance_is_a_warning(shell: Shell, service: RudeServer) -> None:
    service.answers[:] = [answer({}, 404), answer({"balance_usd": -0.2})]
    result = checks(shell("doctor", "--json").json)["token"]
    assert (result["state"], "$-0.20" in result["what"]) == ("warn", True)


def test_a_clock_that_is_wrong_is_a_warning(shell: Shell, service: RudeServer) -> None:
    service.answers[:] = [answer({}, 404, Date="Mon, 01 Jan 2024 00:00:00 GMT")]
    result = checks(shell("doctor", "--json").json)["clock"]
    assert result["state"] == "warn"
    assert "ahead of" in result["what"]


def test_without_a_token_it_says_how_to_give_one(shell: Shell) -> None:
    came = shell("doctor")
    assert came.code == 3
    assert "bad   token: no token was given" in came.out
    assert "RUNCOMFY_TOKEN" in came.out


def test_nobody_answers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
    came = shell("doctor", "--base-url", "https://127.0.0.1:9/v1", "--json")
    assert came.code == 3
    assert checks(came.json)["service"]["state"] == "bad"


def test_of_a_run_it_says_what_needs_a_person_and_the_command_for_it(shell: Shell) -> None:
    name = shell.file("my prompts.yaml", "prompts: [a kite, a gull]\n")
    shell("run", name, "--simulate", "--limit", "1", "--rate", "200/s", "--progress", "none")
    came = shell("doctor", "runs/my prompts", "--simulate")
    assert came.code == 0
    assert "batcher run 'runs/my prompts'" in came.out


def test_a_run_that_is_done_needs_nobody(shell: Shell) -> None:
    assert "ok    run: all 3 jobs are done" in shell("doctor", shell.simulated(), "--simulate").out


def test_nothing_is_left_on_the_disk(shell: Shell) -> None:
    before = shell.tree()
    shell("doctor", "--simulate")
    assert shell.tree() == before


def test_the_disk_is_measured_where_the_run_will_be(tmp_path: Path) -> None:
    disk = disk_check.measure(tmp_path / "runs" / "not" / "there")
    assert not disk.trouble
    assert disk.fsync > 0
    assert disk.rename > 0
    assert disk.free > 0
    assert disk.locks
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_nothing_is_bad(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("batcher.store.disk_check.tempfile.TemporaryDirectory", full)
    came = shell("doctor", "--simulate", "--json")
    assert came.code == 3
    assert checks(came.json)["disk"]["state"] == "bad"
