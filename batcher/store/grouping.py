"""Texts sorted by key on disk, so that what belongs together comes together and memory does not grow with the run."""

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from batcher.core.errors import DiskError


class Grouped:
    """Kept under a key in any order; given back key by key, in the order in which the keys first came.

    Raises DiskError when there is no room for it where temporary files go.
    """

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None)  # a private file that goes with the connection
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY, key BLOB NOT NULL, text TEXT NOT NULL)")
        self._rows.execute("BEGIN")

    def add(self, key: str, text: str) -> None:
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16).digest()
        self._do("INSERT INTO kept (key, text) VALUES (?, ?)", digest, text)

    def __len__(self) -> int:
        return int(self._rows.execute("SELECT count(DISTINCT key) FROM kept").fetchone()[0])

    def texts(self, first: int) -> int:
        """How many there are under the first so many keys."""
        counts = "SELECT count(*) AS many FROM kept GROUP BY key ORDER BY min(n) LIMIT ?"
        return int(self._rows.execute(f"SELECT coalesce(sum(many), 0) FROM ({counts})", (first,)).fetchone()[0])

    def groups(self) -> Iterator[list[str]]:
        """Each key's texts in the order they came. Nothing may be added any more."""
        self._do("CREATE INDEX IF NOT EXISTS by_key ON kept (key)")
        for (key,) in self._rows.execute("SELECT key FROM kept GROUP BY key ORDER BY min(n)"):
            yield [text for (text,) in self._rows.execute("SELECT text FROM kept WHERE key = ? ORDER BY n", (key,))]

    def _do(self, statement: str, *values: Any) -> None:
        try:
            self._rows.execute(statement, values)
        except sqlite3.OperationalError as error:
            hint = "Free some space there, or name another folder in SQLITE_TMPDIR."
            raise DiskError(f"temporary files can't be written: {error}", hint=hint) from None

    def close(self) -> None:
        self._rows.close()
