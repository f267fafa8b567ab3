"""Object stores of each kind, one for all tests of this folder; each gives the environment that a client needs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.needs import need_buckets

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

CONTAINER = "tests"  # at Azure: it has to be there before anything is put


@pytest.fixture(scope="session")
def s3(server: "ObjectStore") -> dict[str, str]:
    return server.environment


@pytest.fixture(scope="session")
def gs() -> Iterator[dict[str, str]]:
    need_buckets()
    from tests.support.google_store import google_store  # noqa: PLC0415

    with google_store() as store:
        yield store


@pytest.fixture(scope="session")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    need_buckets()
    from tests.support.azure_store import azure_store  # noqa: PLC0415

    with azure_store(tmp_path_factory.mktemp("azurite"), CONTAINER) as store:
        yield store
