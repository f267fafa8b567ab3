"""Who may ask the page's server for what: every attack that galleries and panels have met, over a raw socket."""

import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from batcher.client.token import TOKEN_ENV
from batcher.store.picks import PICKS
from batcher.view.safety import Guard
from tests.support.browser import Served, page_server
from tests.support.quick_start import own_interpreter
from tests.support.raw_http import ask, page_headers

RUNS = "/runs"


def verdict(run: Path) -> dict[str, object]:
    connection = sqlite3.connect(run / "state.db")
    (key,) = connection.execute("SELECT key FROM jobs ORDER BY id").fetchone()
    connection.close()
    return {"verdicts": [{"job": key, "pick": "yes"}]}


def test_whoever_has_the_token_is_answered(served: Served) -> None:
    assert ask(served, RUNS, **page_headers(served)).json["runs"][0]["name"] == "night"
    assert ask(served, RUNS, Cookie=f"batcher-view-{served.port}={served.token}").status == 200


def test_nobody_without_the_token_sees_anything_of_a_run(served: Served, run: Path) -> None:
    key = verdict(run)["verdicts"][0]["job"]  # type: ignore[index]
    paths = (
        "index",
        "changes",
        "events",
        "where?q=seed",
        f"job/{key}",
        f"thumb/{key}/0",
        f"picture/{key}/0",
        "metrics",
    )
    for path in (RUNS, "/metrics", *(f"/runs/night/{path}" for path in paths)):
        answer = ask(served, path)
        assert answer.status == 401, path
        assert b"lighthouse" not in answer.body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}", ""]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(served: Served, host: str) -> None:
    for path in ("/", RUNS, "/page/app.js"):
        assert ask(served, path, **page_headers(served, Host=host.format(port=served.port))).status in {400, 403}


def test_a_rebound_name_whose_origin_agrees_with_it_is_refused_too(served: Served, run: Path) -> None:
    host = f"rebound.example:{served.port}"
    headers = page_headers(served, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")
    assert ask(served, RUNS, **headers).status == 403
    assert ask(served, "/runs/night/picks", method="POST", body=verdict(run), **headers).status == 403
    assert not (run / PICKS).exists()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_the_names_of_this_machine_are_taken(served: Served, host: str) -> None:
    assert ask(served, RUNS, **page_headers(served, Host=host.format(port=served.port))).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "https://localhost"]
)
def test_another_page_changes_nothing_and_reads_nothing(served: Served, run: Path, origin: str) -> None:
    headers = page_headers(served, Origin=origin)
    assert ask(served, "/runs/night/picks", method="POST", body=verdict(run), **headers).status == 403
    assert ask(served, RUNS, **headers).status == 403
    assert not (run / PICKS).exists()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_image_or_data_put_into_another_page_is_refused(served: Served, site: str) -> None:
    assert ask(served, "/runs/night/index", **page_headers(served, Sec_Fetch_Site=site)).status == 403
    assert ask(served, "/", Sec_Fetch_Site=site).status == 200  # a link to the page may be followed


def test_a_form_of_another_page_lacks_the_header_or_the_type(served: Served, run: Path) -> None:
    own = {"Cookie": f"batcher-view-{served.port}={served.token}"}
    assert ask(served, "/runs/night/picks", method="POST", body=verdict(run), **own).status == 403
    plain = {**page_headers(served), "Content_Type": "text/plain"}
    assert ask(served, "/runs/night/picks", method="POST", body=verdict(run), **plain).status == 415
    assert not (run / PICKS).exists()
    assert ask(served, "/runs/night/picks", method="POST", body=verdict(run), **page_headers(served)).status == 200
    assert len((run / PICKS).read_text().splitlines()) == 1


def test_a_token_in_a_query_or_a_referer_is_no_token_and_none_is_ever_sent_on(served: Served) -> None:
    assert ask(served, f"{RUNS}?token={served.token}").status == 401
    assert ask(served, RUNS, Referer=f"{served.base}?{served.token}").status == 401
    assert ask(served, "/").headers["referrer-policy"] == "no-referrer"


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_never_get(served: Served) -> None:
    answer = ask(served, "/session", method="POST", body={"token": served.token}, X_Batcher_Page="1")
    cookie = answer.headers["set-cookie"]
    assert f"batcher-view-{served.port}=" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    wrong = ask(served, "/session", method="POST", body={"token": "guess"}, X_Batcher_Page="1")
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers


def test_the_token_of_another_page_on_this_machine_opens_nothing(served: Served, run: Path) -> None:
    with page_server(run) as other:
        assert other.token != served.token
        assert ask(served, RUNS, Authorization=f"Bearer {other.token}").status == 401
        assert ask(served, RUNS, Cookie=f"batcher-view-{served.port}={other.token}").status == 401
        assert ask(served, RUNS, Cookie=f"batcher-view-{other.port}={served.token}").status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/runs/night/picture/../../state.db/0", "/runs/night/picture/%2e%2e%2fstate.db/0", "/page/../server.py",
        "/page/%2e%2e%2fserver.py", "/runs/../night/index", "/runs/%2e%2e/index", "/runs/night/thumb/..%5c..%5cx/0",
        "/runs/night/picture/x/999999", "//evil.example/runs",
    ],
)  # fmt: skip
def test_a_path_never_leads_to_a_file(served: Served, path: str) -> None:
    answer = ask(served, path, **page_headers(served))
    assert answer.status in {400, 403, 404}
    assert b"SQLite" not in answer.body
    assert b"import" not in answer.body


def test_a_state_file_that_names_files_outside_of_the_run_shows_none_of_them(run: Path) -> None:
    (run.parent / "secret.png").write_bytes((run / "images/1x1-395b64.png").read_bytes())
    (run / "images/link.png").symlink_to(run.parent / "secret.png")
    connection = sqlite3.connect(run / "state.db")
    keys = [key for (key,) in connection.execute("SELECT key FROM jobs WHERE state = 'done' ORDER BY id")]
    size = (run.parent / "secret.png").stat().st_size
    for number, file in enumerate(
        ["../secret.png", str(run.parent / "secret.png"), "images/../../secret.png", "images/link.png"]
    ):
        connection.execute(
            "UPDATE images SET file = ?, bytes = ? WHERE job_id = (SELECT id FROM jobs WHERE key = ?)",
            (file, size, keys[number]),
        )
    connection.commit()
    connection.close()
    with page_server(run) as server:
        for key in keys[:4]:
            for what in ("picture", "thumb"):
                assert ask(server, f"/runs/night/{what}/{key}/0", **page_headers(server)).status == 404


def test_no_page_can_put_this_one_into_a_frame_and_no_foreign_script_runs_in_it(served: Served) -> None:
    for answer in (ask(served, "/"), ask(served, RUNS), ask(served, "/nothing")):
        assert answer.headers["x-frame-options"] == "DENY"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_page_that_only_shows_changes_nothing(run: Path) -> None:
    with page_server(run, "--read-only") as server:
        for what in ("picks", "tune", "retry", "more", "export"):
            answer = ask(server, f"/runs/night/{what}", method="POST", body=verdict(run), **page_headers(server))
            assert answer.status == 403, what
        assert ask(server, RUNS, **page_headers(server)).json["read_only"] is True
    assert not (run / PICKS).exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_api_token_is_nowhere_in_the_process_of_the_page(run: Path) -> None:
    secret = "rc-secret-4711"
    with own_interpreter(), page_server(run, environ=dict.fromkeys(TOKEN_ENV, secret)) as server:
        assert secret.encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()
        assert ask(server, RUNS, **page_headers(server)).status == 200
        memory = memory_of(server.pid)
        assert b"batcher-view-" in memory  # what its process holds is seen
        assert secret.encode() not in memory


def memory_of(pid: int) -> bytes:
    """All that a process can write to, which is where a secret would be."""
    parts = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                span, rights = line.split()[:2]
                if rights.startswith("rw") and not line.endswith(("[vvar]", "[vsyscall]")):
                    first, last = (int(part, 16) for part in span.split("-"))
                    memory.seek(first)
                    with suppress(OSError):
                        parts.append(memory.read(last - first))
    except PermissionError:
        pytest.skip("this system lets nobody look into a process")
    return b"".join(parts)


def test_beyond_this_machine_it_is_said_aloud_and_still_asks_for_the_token(run: Path) -> None:
    with page_server(run, "--host", "0.0.0.0") as server:
        assert server.token
        assert ask(server, RUNS).status == 401
        assert ask(server, RUNS, **page_headers(server)).status == 200
        assert ask(server, RUNS, **page_headers(server, Host=f"192.168.7.7:{server.port}")).status == 200
        assert ask(server, RUNS, **page_headers(server, Host=f"evil.example:{server.port}")).status == 403
    words = [sys.executable, "-m", "batcher", "view", str(run), "--host", "0.0.0.0", "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = ""
        while "Ctrl-C ends the page" not in output:
            output += process.stdout.readline()
        process.terminate()
    assert "Listening on 0.0.0.0: whoever can reach this machine" in output
    assert "ssh -L" in output


def test_a_server_for_all_addresses_takes_numbers_and_its_own_name_and_no_other() -> None:
    guard = Guard.at("t" * 20, "0.0.0.0", 80, "box")
    headers = {"Authorization": f"Bearer {'t' * 20}"}
    for host, fine in {
        "box:80": True,
        "10.1.2.3:80": True,
        "[fe80::1]:80": True,
        "10.1.2.3:81": False,
        "bad:80": False,
    }.items():
        assert (guard.refusal("GET", {**headers, "Host": host}, is_public=False, cookie=None) is None) is fine, host


def test_a_body_that_is_no_object_or_too_large_is_refused(served: Served) -> None:
    no_objects: tuple[Any, ...] = ([], "x", 3)
    for body in no_objects:
        assert ask(served, "/runs/night/picks", method="POST", body=body, **page_headers(served)).status == 400
    objects: tuple[Any, ...] = (
        {},
        {"verdicts": []},
        {"verdicts": [{"job": "x", "pick": "maybe"}]},
        {"verdicts": [{"job": "nobody", "pick": "yes"}]},
    )
    for body in objects:
        assert ask(served, "/runs/night/picks", method="POST", body=body, **page_headers(served)).status == 400
    large = {"verdicts": [{"job": "x" * 5_000_000}]}
    with suppress(ConnectionError):  # it does not read on
        assert ask(served, "/runs/night/picks", method="POST", body=large, **page_headers(served)).status in {400, 413}


def test_an_export_goes_below_sets_alone(served: Served, run: Path) -> None:
    for name in ("../out", "/tmp/out", "a/b", "", ".hidden", "x" * 200, "--to"):
        answer = ask(
            served,
            "/runs/night/export",
            method="POST",
            body={"name": name, "to": "imagefolder"},
            **page_headers(served),
        )
        assert answer.status == 400, name


def test_a_port_that_is_taken_is_an_error_in_words(served: Served, run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "batcher", "view", str(run), "--no-browser", "--port", str(served.port)],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 64
    assert "--port 0" in done.stderr
