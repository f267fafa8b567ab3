from pathlib import Path

import pytest

from batcher.client.token import BASE_URL_ENV, TOKEN_ENV


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account of whoever runs the tests: what a plan asks for, it asks of nobody."""
    for name in (*TOKEN_ENV, BASE_URL_ENV):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path / "no-account"))
