"""Links that try to be taken for the service's: nobody comes to the host they really lead to."""

import asyncio
from pathlib import Path

import pytest
from yarl import URL

from batcher.client.outputs import find_urls
from batcher.core.errors import FileError, FileRefused
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from tests.support.file_host import answer, describe, file_host, files, picture

# {port} is that of a host on this machine that must never be asked.
TO_THIS_MACHINE = [
    "http://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "http://LOCALHOST:{port}/x",
    "http://localhost.:{port}/x",
    "http://127.1:{port}/x",
    "http://127.0.1:{port}/x",
    "http://2130706433:{port}/x",
    "http://0x7f000001:{port}/x",
    "http://0x7f.0.0.1:{port}/x",
    "http://0177.0.0.1:{port}/x",
    "http://017700000001:{port}/x",
    "http://0:{port}/x",
    "http://127.000.000.001:{port}/x",
    "http://127.0.0.1.:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://127.0.0.2:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[::ffff:7f00:1]:{port}/x",
    "http://[::]:{port}/x",
    "http://[0:0:0:0:0:0:0:1]:{port}/x",
    "http://[::1%25lo]:{port}/x",
    "http://[::127.0.0.1]:{port}/x",
    "http://1\u20442130706433:{port}/x",
    "http://\uff11\uff12\uff17.0.0.1:{port}/x",
    "http://\u24db\u24de\u24d2alhost:{port}/x",
    "http://127\u30020\u30020\u30021:{port}/x",
    "http://127.0.0.1%2e:{port}/x",
    "http://127%2e0%2e0%2e1:{port}/x",
    "http://runcomfy.net@127.0.0.1:{port}/x",
    "http://runcomfy.net:443@127.0.0.1:{port}/x",
    "http://a.runcomfy.net%40127.0.0.1:{port}/x",
    "http://runcomfy.net\\@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}\\.runcomfy.net/x",
    "http://127.0.0.1:{port}/\\@a.runcomfy.net",
    "http://127.0.0.1:{port}#.runcomfy.net/x",
    "http://127.0.0.1:{port}?.runcomfy.net",
    "http://127.0.0.1:{port};.runcomfy.net/x",
    "https://127.0.0.1:{port}\t.runcomfy.net/x",
    "https://a.runcomfy.net\n@127.0.0.1:{port}/x",
    "http:\\\\127.0.0.1:{port}/x",
    "http:127.0.0.1:{port}/x",
    "http:///127.0.0.1:{port}/x",
    "//127.0.0.1:{port}/x",
    "hTTp://127.0.0.1:{port}/x",
    "https://a.runcomfy.net:{port}@127.0.0.1:{port}/x",
    "http://a.runcomfy.net:{port}/x",
    "ws://127.0.0.1:{port}/x",
    "http+unix://127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "file://127.0.0.1:{port}/etc/passwd",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:{port}/x!/",
    "",
]
REDIRECTS = [
    *filter(None, TO_THIS_MACHINE),
    "/\\127.0.0.1:{port}/x",
    "\\\\127.0.0.1:{port}/x",
    "//localhost:{port}/x",
    "http://[",
    "http://[::1",
    "//[x]/",
    "http://]/",
    "http://a:b:c/",
    "http://localhost:{port}/%2e%2e/x",
    "https://localhost:{port}/x",
    "http://h\u00e9:{port}/",
    "http://" + "a" * 9000,
]


@pytest.mark.parametrize("url", TO_THIS_MACHINE)
def test_a_link_that_hides_where_it_leads_is_refused_and_nobody_is_asked(tmp_path: Path, url: str) -> None:
    async def main() -> list[str]:
        async with file_host({"/x": answer(picture())}) as host:
            async with Downloader(tmp_path, trust=Trust(["files.example.org"])) as loader:
                with pytest.raises(FileRefused) as caught:
                    await loader.fetch(url.format(port=host.port), path="x", describe=describe)
            assert caught.value.cause.message.isprintable()
            assert caught.value.cause.kind == "untrusted_host"
            return host.requests

    assert asyncio.run(main()) == []
    assert files(tmp_path) == []


def test_a_redirect_to_any_of_them_ends_there_and_nobody_is_asked(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with file_host({}) as host, file_host({"/x": answer(picture())}) as other:
            trust = Trust([f"127.0.0.1:{host.port}"])
            async with Downloader(tmp_path, trust=trust) as loader:
                for at, location in enumerate(REDIRECTS):
                    header = (
                        location.format(port=other.port).translate({9: "%09", 10: "%0a"}).encode().decode("latin-1")
                    )
                    host.routes[f"/r{at}"] = answer(status=302, headers={"Location": header})
                    with pytest.raises(FileError) as caught:
                        await loader.fetch(host.url(f"/r{at}"), path="x", describe=describe)
                    assert caught.value.cause.message.isprintable(), location
            return other.requests

    assert asyncio.run(main()) == []
    assert files(tmp_path) == []


def test_dots_and_encodings_in_a_path_go_out_as_they_came_or_shorter_but_never_to_another_host() -> None:
    for path in ("/%2e%2e/%2e%2e/x", "/../../x", "/a/%2F..%2F/x", "/a//b", "/;a=b/x", "/a%0d%0aHost:%20evil", "/%00"):
        checked = Trust().check(f"https://a.runcomfy.net{path}")
        assert isinstance(checked, URL)
        assert (checked.scheme, checked.host, checked.port) == ("https", "a.runcomfy.net", 443)
        assert "\r" not in str(checked)
        assert "\n" not in str(checked)


def test_only_web_links_of_an_output_are_even_looked_at() -> None:
    hostile = [
        "file:///etc/passwd",
        "javascript:x",
        "//evil.example/x",
        "ftp://x/y",
        "http://é.example/x",
    ]
    assert find_urls({"images": [*hostile, "https://a.runcomfy.net/1.png"]}) == ("https://a.runcomfy.net/1.png",)
