"""What a run was told: every option from a flag and from a manifest, the deadline, the token and where it was found."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from batcher.client.token import BASE_URL, BASE_URL_ENV, TOKEN_ENV, Token, base_url, find_token
from batcher.core.errors import AccountError, ManifestError, UsageError
from batcher.core.settings import PARSERS, Deadline, Given, Settings, fold, parse_deadline
from batcher.runner.stop import deadline_at

SECRET = "sk-very-secret-0123456789"

GOOD: list[tuple[str, str, Any]] = [
    ("rate", "5/s", 5.0),
    ("rate", "300/min", 5.0),
    ("in_flight", "64", 64),
    ("downloads", "3", 3),
    ("api_rate", "10/s", 10.0),
    ("api_rate", "None", None),
    ("check", "decode", "decode"),
    ("check", "Structure", "structure"),
    ("check", "none", "none"),
    ("budget", "$12.50", 12.5),
    ("price", "0.02", 0.02),
    ("in_doubt", "resubmit", "resubmit"),
    ("in_doubt", " HOLD ", "hold"),
    ("deadline", "8h", Deadline(seconds=28800.0)),
    ("deadline", "07:05", Deadline(hour=7, minute=5)),
    ("attempts", "3", 3),
    ("max_failures", "100", 100),
    ("timeout", "30m", 1800.0),
    ("progress", "json", "json"),
    ("fuse", "50", 50),
    ("fuse", "None", None),
    ("fuse_share", "90%", 0.9),
    ("fuse_share", "0.5", 0.5),
    ("fuse_share", "none", None),
    ("cancel_on_interrupt", "True", True),
    ("cancel_on_interrupt", "false", False),
    ("embed", "infotext, XMP", frozenset({"infotext", "xmp"})),
    ("embed", "iptc,signed", frozenset({"iptc", "signed"})),
    ("embed", "none", frozenset()),
    ("no_schema_check", "seed, style", frozenset({"seed", "style"})),
    ("check_inputs", "All", "all"),
    ("engine", "Ray", "ray"),
    ("workers", "4", 4),
]
BAD = [
    ("rate", "fast", "a rate looks like 5/s, 300/min or 1000/h"),
    ("rate", "0/s", "a rate looks like"),
    ("rate", "none", "a rate looks like"),
    ("in_flight", "0", "a whole number from 1 to"),
    ("downloads", "2.5", "a whole number from 1 to"),
    ("api_rate", "-3/s", "a rate looks like"),
    ("check", "deep", "one of decode, structure, none"),
    ("budget", "lots", "an amount in dollars looks like 10 or 0.04"),
    ("price", "-1", "an amount in dollars"),
    ("in_doubt", "retry", "one of hold, resubmit"),
    ("deadline", "25:00", "a time of day looks like 07:00"),
    ("deadline", "tonight", "a deadline looks like 8h or 07:00"),
    ("attempts", "0", "a whole number from 1 to"),
    ("max_failures", "none", "a whole number from 1 to"),
    ("timeout", "30", "a duration looks like 8h, 90m, 1h30m or 45s"),
    ("progress", "fancy", "one of auto, bar, lines, json, none"),
    ("fuse", "0", "a whole number from 1 to"),
    ("fuse_share", "150%", "a share looks like 90% or 0.9"),
    ("embed", "exif", "must be infotext, xmp or iptc, separated by commas"),
    ("embed", "signed", "must be infotext, xmp or iptc, separated by commas"),
    ("embed", "", "must be infotext, xmp or iptc, separated by commas"),
    ("embed", "none,xmp", "must be infotext, xmp or iptc, separated by commas"),
    ("fuse_share", "nan", "a share looks like 90% or 0.9"),
    ("cancel_on_interrupt", "maybe", "one of true, false"),
    ("no_schema_check", ",", "names of the model's inputs, separated by commas"),
    ("check_inputs", "some", "one of auto, all, none"),
    ("engine", "spark", "one of local, ray"),
    ("workers", "0", "a whole number from 1 to"),
]


def by_flag(name: str, text: str) -> dict[str, Given]:
    return {name: Given(text, flag="--" + name.replace("_", "-"))}


def by_manifest(name: str, text: str, line: int = 3) -> dict[str, Given]:
    return {name: Given(text, file="job.yaml", line=line, column=8)}


def test_every_option_has_a_good_and_a_bad_case_here() -> None:
    assert {name for name, _, _ in GOOD} == set(PARSERS) == {name for name, _, _ in BAD}


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_an_option_means_the_same_from_a_flag_and_from_the_manifest(name: str, text: str, value: Any) -> None:
    assert getattr(fold(by_flag(name, text), {}), name) == value
    assert getattr(fold({}, by_manifest(name, text)), name) == value


@pytest.mark.parametrize(("name", "text", "mend"), BAD)
def test_a_bad_flag_is_a_wrong_command_line(name: str, text: str, mend: str) -> None:
    with pytest.raises(UsageError) as caught:
        fold(by_flag(name, text), {})
    assert caught.value.exit_code == 64
    assert caught.value.message.startswith(f"--{name.replace('_', '-')} '{text}': ")
    assert mend in caught.value.message


@pytest.mark.parametrize(("name", "text", "mend"), BAD)
def test_a_bad_option_of_the_manifest_is_a_problem_at_its_line(name: str, text: str, mend: str) -> None:
    with pytest.raises(ManifestError) as caught:
        fold({}, by_manifest(name, text))
    assert caught.value.exit_code == 65
    assert caught.value.message.startswith(f"job.yaml:3:8: run.{name} is '{text}': ")
    assert mend in caught.value.message


def test_all_bad_options_of_a_manifest_are_told_at_once() -> None:
    with pytest.raises(ManifestError) as caught:
        fold({}, {**by_manifest("rate", "x", 3), **by_manifest("budget", "y", 4), **by_manifest("check", "none", 5)})
    assert [problem.line for problem in caught.value.problems] == [3, 4]


def test_control_characters_in_an_option_are_never_shown_raw() -> None:
    with pytest.raises(UsageError) as caught:
        fold(by_flag("rate", "\x1b[31m5"), {})
    assert "\x1b" not in str(caught.value)


def test_a_flag_wins_over_the_manifest_and_the_manifest_over_the_default() -> None:
    manifest = {**by_manifest("rate", "7/s"), **by_manifest("in_flight", "9")}
    settings = fold(by_flag("rate", "3/s"), manifest)
    assert (settings.rate, settings.in_flight, settings.downloads) == (3.0, 9, 16)


def test_a_flag_mends_a_bad_option_of_the_manifest() -> None:
    assert fold(by_flag("rate", "3/s"), by_manifest("rate", "x")).rate == 3.0


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = fold({}, {})
    assert settings == Settings()
    assert (settings.rate, settings.in_flight, settings.downloads, settings.api_rate) == (2.0, 32, 16, None)
    assert (settings.check, settings.in_doubt, settings.budget, settings.progress) == ("decode", "hold", None, "auto")


def test_what_is_not_a_setting_is_left_to_others() -> None:
    assert fold({"out": Given("x", flag="--out")}, {}) == Settings()


# The deadline.


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def utc(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "clock", "deadline"),
    [
        ("2026-07-01T20:00", "07:00", "2026-07-02T05:00"),  # summer: UTC+2
        ("2026-01-01T20:00", "07:00", "2026-01-02T06:00"),  # winter: UTC+1
        ("2026-01-01T05:00", "07:00", "2026-01-01T06:00"),  # later today
        ("2026-01-01T06:00", "07:00", "2026-01-02T06:00"),  # it is 07:00 now: tomorrow's
        ("2026-12-31T22:30", "00:15", "2026-12-31T23:15"),  # over the end of the year
        ("2026-03-28T21:00", "07:00", "2026-03-29T05:00"),  # the night that is an hour shorter
        ("2026-10-24T20:00", "07:00", "2026-10-25T06:00"),  # the night that is an hour longer
        ("2026-10-24T23:00", "02:30", "2026-10-25T00:30"),  # 02:30 comes twice: the first
        ("2026-10-25T00:45", "02:30", "2026-10-25T01:30"),  # the first is over: the second
        ("2026-10-25T01:45", "02:30", "2026-10-26T01:30"),  # both are over
        ("2026-10-25T01:10", "07:00", "2026-10-25T06:00"),  # asked in the hour that comes twice
        ("2026-03-29T00:00", "02:30", "2026-03-29T01:30"),  # 02:30 never comes: an hour after 01:30
        ("2026-03-28T02:00", "02:30", "2026-03-29T01:30"),
    ],
)
def test_a_time_of_day_is_the_next_one_on_the_local_clock_whatever_summer_time_does(
    now: str, clock: str, deadline: str
) -> None:
    assert deadline_at(parse_deadline(clock), utc(now)) == utc(deadline)


@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_is_always_ahead_and_at_most_a_long_day_away() -> None:
    for start in ("2026-03-28T12:00", "2026-10-24T12:00"):
        for minutes in range(0, 36 * 60, 7):
            now = utc(start) + 60.0 * minutes
            at = deadline_at(Deadline(hour=2, minute=30), now)
            assert at is not None
            assert 0 < at - now <= 25 * 3600 + 60
            assert datetime.fromtimestamp(at).strftime("%H:%M") in {"02:30", "03:30"}  # noqa: DTZ006  the local clock


@pytest.mark.usefixtures("berlin")
def test_a_duration_does_not_care_for_summer_time() -> None:
    assert deadline_at(parse_deadline("8h"), utc("2026-03-28T21:00")) == utc("2026-03-29T05:00")


def test_no_deadline_is_none() -> None:
    assert deadline_at(None, 5.0) is None


# The API root.


def test_the_api_root_is_the_flag_else_the_environment_else_runcomfys() -> None:
    environ = {BASE_URL_ENV: " http://127.0.0.1:9/v1 "}
    assert base_url("https://flag/v1", environ) == "https://flag/v1"
    assert base_url(None, environ) == "http://127.0.0.1:9/v1"
    assert base_url(None, {BASE_URL_ENV: "  "}) == BASE_URL
    assert base_url(None, {}) == BASE_URL == "https://model-api.runcomfy.net/v1"


# The token.


def token_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "token.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def everywhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which every place holds a token that says where it was."""
    token_file(tmp_path / "own", '{"access_token": "from-own-folder"}')
    token_file(tmp_path / "xdg" / "runcomfy", '{"access_token": "from-xdg"}')
    token_file(tmp_path / "home" / ".config" / "runcomfy", '{"access_token": "from-home"}')
    return {
        "RUNCOMFY_TOKEN": "from-1",
        "RUNCOMFY_API_TOKEN": "from-2",
        "RUNCOMFY_API_KEY": "from-3",
        "RUNCOMFY_CONFIG_DIR": str(tmp_path / "own"),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "HOME": str(tmp_path / "home"),
    }


def test_the_places_of_a_token_are_searched_in_order(tmp_path: Path) -> None:
    environ = everywhere(tmp_path)
    flag = str(token_file(tmp_path / "flag", "from-flag\n"))
    assert find_token(flag, environ).value == "from-flag"
    order = {
        "RUNCOMFY_TOKEN": "from-1",
        "RUNCOMFY_API_TOKEN": "from-2",
        "RUNCOMFY_API_KEY": "from-3",
        "RUNCOMFY_CONFIG_DIR": "from-own-folder",
        "XDG_CONFIG_HOME": "from-xdg",
        "HOME": "from-home",
    }
    for name, value in order.items():
        assert find_token(None, environ).value == value
        del environ[name]


def test_a_blank_variable_counts_as_unset(tmp_path: Path) -> None:
    environ = everywhere(tmp_path) | {"RUNCOMFY_TOKEN": "  ", "RUNCOMFY_API_TOKEN": ""}
    assert find_token(None, environ).value == "from-3"
    environ |= dict.fromkeys(TOKEN_ENV, " ") | {"RUNCOMFY_CONFIG_DIR": " ", "XDG_CONFIG_HOME": ""}
    assert find_token(None, environ).value == "from-home"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"  {SECRET}\n",
        f"{SECRET}\r\n",
        f"\ufeff{SECRET}",
        f'{{"access_token": "{SECRET}", "expires_at": 5}}',
        f'\n {{"access_token": " {SECRET} "}}\n',
    ],
)
def test_a_token_file_is_the_token_or_what_the_official_cli_writes(tmp_path: Path, text: str) -> None:
    token = find_token(str(token_file(tmp_path, text)), {})
    assert token.value == SECRET
    assert not token.warning
    assert "--token-file" in token.origin


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a token"),
        (" \n", "is not a token"),
        ("two words", "is not a token"),
        ("two\nlines", "is not a token"),
        ("naïve", "is not a token"),
        ("tok\x1ben", "is not a token"),
        ("x" * 9000, "is not a token"),
        (b"\xff\xfe\x00", "can't be read: it is not text"),
        ("{}", "holds no access_token"),
        ('{"access_token": null}', "holds no access_token"),
        ('{"access_token": 5}', "holds no access_token"),
        ('{"access_token": {"value": "x"}}', "holds no access_token"),
        ('{"access_token": ""}', "is not a token"),
        ('{"access_token": "a b"}', "is not a token"),
        ('{"access_token"', "holds no access_token"),
        ('{"a":' * 100_000, "holds no access_token"),
    ],
)
def test_what_is_no_token_is_said_and_never_shown(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(AccountError) as caught:
        find_token(str(token_file(tmp_path, text)), {})
    assert caught.value.exit_code == 77
    assert says in caught.value.message
    assert "x" * 100 not in str(caught.value)
    assert "two words" not in str(caught.value)


def test_a_token_in_the_environment_that_is_none_is_said_and_not_shown() -> None:
    with pytest.raises(AccountError) as caught:
        find_token(None, {"RUNCOMFY_API_TOKEN": "Bearer " + SECRET})
    assert "environment variable RUNCOMFY_API_TOKEN" in caught.value.message
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", ".", "x" * 300])
def test_a_token_file_that_can_not_be_read_says_why(tmp_path: Path, name: str) -> None:
    with pytest.raises(AccountError, match=r"can't be read: \w"):
        find_token(str(tmp_path / name), {})


@pytest.mark.parametrize("folder", ["missing", "x" * 300])
def test_without_a_token_the_ways_to_give_one_are_listed(tmp_path: Path, folder: str) -> None:
    with pytest.raises(AccountError) as caught:
        find_token(None, {"HOME": str(tmp_path / folder)})
    assert caught.value.exit_code == 77
    for way in ("RUNCOMFY_TOKEN", "--token-file", "runcomfy login", "--simulate"):
        assert way in caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="file rights as POSIX has them")
@pytest.mark.parametrize(
    ("mode", "loose"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o604, True)]
)
def test_a_token_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, loose: bool) -> None:
    path = token_file(tmp_path, SECRET, mode)
    token = find_token(str(path), {})
    assert token.value == SECRET
    assert bool(token.warning) is loose
    if loose:
        assert f"chmod 600 {path}" in token.warning
        assert SECRET not in token.warning


def test_a_token_never_shows_itself() -> None:
    token = Token(SECRET, "environment variable RUNCOMFY_TOKEN")
    for text in (repr(token), str(token), f"{token}", repr([token]), repr({"token": token})):
        assert SECRET not in text
    assert "RUNCOMFY_TOKEN" in repr(token)
