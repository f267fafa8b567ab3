"""Host confusion: what is checked is what is requested, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from batcher.core.errors import FileRefused, UsageError
from batcher.images.trust import Trust


def is_refused(url: str, *extra: str) -> bool:
    try:
        Trust(extra).check(url)
    except FileRefused as refused:
        return refused.cause.kind == "untrusted_host" and refused.cause.message.isprintable()
    return False


@pytest.mark.parametrize(
    "url",
    [
        "https://playgrounds-storage-public.runcomfy.net/a/b%3D%3D/output/1_output.png",
        "https://runcomfy.net/x",
        "https://cdn.runcomfy.com/x?sig=%2B%20+&a=b%2f",
        "https://A.RunComfy.NET:443/x",
        "HTTPS://a.runcomfy.net",
        "https://a.runcomfy.net?x=https://evil.com",
    ],
)
def test_links_as_the_service_makes_them_pass_with_their_encoding_kept(url: str) -> None:
    checked = Trust().check(url)
    assert checked.scheme == "https"
    assert str(checked.host).endswith(("runcomfy.net", "runcomfy.com"))
    if "%" in url:
        assert str(checked) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.runcomfy.net/x",
        "https://a.runcomfy.net:8443/x",
        "https://a.runcomfy.net:80/x",
        "https://a.runcomfy.net:/x",
        "https://a.runcomfy.net:99999/x",
        "https://a.runcomfy.net:4４3/x",
        "https://runcomfy.net.evil.com/x",
        "https://evilruncomfy.net/x",
        "https://runcomfy.net@evil.com/x",
        "https://user:pass@runcomfy.net/x",
        "https://evil.com@runcomfy.net/x",
        "https://@runcomfy.net/x",
        "https://runcomfy.net\\@evil.com/x",
        "https://evil.com\\@runcomfy.net/x",
        "https:\\\\runcomfy.net/x",
        "https://evil.com#@runcomfy.net/x",
        "https://evil.com?@runcomfy.net/x",
        "https://evil.com#.runcomfy.net",
        "https://evil.com/.runcomfy.net",
        "https://evil.com;.runcomfy.net/x",
        "https://evil.com&.runcomfy.net/x",
        "https://runcomfy.net./x",
        "https://.runcomfy.net/x",
        "https://a..runcomfy.net/x",
        "https://-/x",
        f"https://{'a' * 64}.runcomfy.net/x",
        f"https://{'a.' * 130}runcomfy.net/x",
        "https://runcomfy%2enet/x",
        "https://runcomfy.net%00.evil.com/x",
        "https://evil.com%2f.runcomfy.net/x",
        "https://runcomfy。net/x",
        "https://runcоmfy.net/x",
        "https://ｒuncomfy.net/x",
        "https://evil.com／.runcomfy.net/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://runcomfy.net /x",
        "https://runcomfy.net\t.evil.com/x",
        "https://run\ncomfy.net/x",
        " https://runcomfy.net/x",
        "https://runcomfy.net/x\x00",
        "https://runcomfy.net/x\x7f",
        "//runcomfy.net/x",
        "https:runcomfy.net/x",
        "https:/runcomfy.net/x",
        "https:///runcomfy.net/x",
        "ftp://runcomfy.net/x",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "runcomfy.net/x",
        "",
        "https://",
        "https://runcomfy.net/" + "x" * 9_000,
    ],
)
def test_a_link_that_is_not_plainly_to_a_trusted_host_is_refused(url: str) -> None:
    assert is_refused(url)


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/x"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/x"),
        ("files.example.org", "https://files.example.org/x"),
        ("Files.Example.ORG", "http://files.example.org/x"),
        ("example.org:80", "http://example.org/x"),
        ("::1", "http://[::1]:9000/x"),
        ("[::1]:9000", "http://[0:0:0:0:0:0:0:1]:9000/x"),
        ("runcomfy.net", "http://runcomfy.net:81/x"),
    ],
)
def test_a_host_that_the_user_trusts_is_trusted_over_http_too(extra: str, url: str) -> None:
    assert not is_refused(url, extra)
    assert is_refused(url)


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/x"),
        ("127.0.0.1", "http://127.0.0.2/x"),
        ("127.0.0.1", "http://127.1/x"),
        ("example.org", "http://a.example.org/x"),
        ("example.org", "http://user@example.org/x"),
        ("example.org", "ftp://example.org/x"),
        ("example.org", "http://example.org./x"),
        ("example.org:443", "http://example.org/x"),
    ],
)
def test_a_host_that_the_user_trusts_is_taken_exactly(extra: str, url: str) -> None:
    assert is_refused(url, extra)


@pytest.mark.parametrize(
    "extra",
    ["", " ", "https://x.org", "*.x.org", "x.org/a", "x.org:0", "x.org:99999", "x.org:", "bücher.de", "a@b", "[x]"],
)
def test_a_host_to_trust_that_is_no_host_is_a_usage_error(extra: str) -> None:
    with pytest.raises(UsageError, match="is not a host to trust"):
        Trust([extra])


def test_letters_of_other_scripts_in_the_path_are_encoded_and_nothing_else_is() -> None:
    assert str(Trust().check("https://runcomfy.net/é%3d?ö=%2B#x")) == "https://runcomfy.net/%C3%A9%3d?%C3%B6=%2B"


PIECES = [
    *("https:", "http:", "//", "/", "\\", "@", ":", "443", ".", "runcomfy.net", "evil.com", "#", "?", "%2e", "%40"),
    *("[", "]", "::1", "127.0.0.1", "。", "é", ";", "&", "a"),
]
pieces = st.lists(st.sampled_from([*PIECES, " ", "\t"]), max_size=9)


@given(pieces)
def test_whatever_passes_is_read_by_the_http_library_as_a_trusted_host(parts: list[str]) -> None:
    url = "https://" + "".join(parts)
    try:
        checked = Trust().check(url)
    except FileRefused:
        return
    assert isinstance(checked, URL)
    assert (checked.scheme, checked.port, checked.user) == ("https", 443, None)
    assert f".{checked.host}".endswith((".runcomfy.net", ".runcomfy.com"))
    assert "evil" not in str(checked.host)
