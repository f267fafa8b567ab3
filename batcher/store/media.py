"""The files that jobs have as inputs: their contents by hash, where each was read, and where it was uploaded.

The two tables are created when a manifest first names such a file. They hold no links, because a link contains a
signature.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

TABLES = (
    """
CREATE TABLE IF NOT EXISTS media (  -- contents that inputs are: "sha256:..." in the inputs of jobs
    sha256  TEXT PRIMARY KEY,
    bytes   INTEGER NOT NULL,
    mime    TEXT NOT NULL,
    place   TEXT,  -- URL of the object that holds it; NULL until there is one
    version TEXT   -- ETag of an object that is not batcher's own
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS media_sources (  -- the files and objects they were read from
    source  TEXT PRIMARY KEY,   -- absolute path, or URL
    sha256  TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    version TEXT NOT NULL,      -- of the file its times and number, of an object its ETag
    listed  INTEGER NOT NULL    -- whether the last reading of the manifest named it
) WITHOUT ROWID
""",
)


@dataclass(frozen=True, slots=True)
class Media:
    """A content. sha256: hex. bytes: its size. mime: by its first bytes.

    place: URL of the object that holds it, None before the upload. version: its ETag if the object is not batcher's
    own.
    """

    sha256: str
    bytes: int
    mime: str
    place: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file or an object as it was when it was read.

    source: absolute path, or URL. sha256: hex. bytes: its size. version: times and inode of a file, ETag of an object.
    """

    source: str
    sha256: str
    bytes: int
    version: str


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables if there are none. Call it in a transaction of the writer."""
    for statement in TABLES:
        connection.execute(statement)


def is_known(connection: sqlite3.Connection) -> bool:
    """Whether the state file has these tables."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'media_sources'").fetchone() is not None


def source(connection: sqlite3.Connection, name: str) -> Source | None:
    """What was read under a name (absolute path, or URL), None if nothing was."""
    row = connection.execute(
        "SELECT source, sha256, bytes, version FROM media_sources WHERE source = ?", (name,)
    ).fetchone()
    return None if row is None else Source(*row)


def listed(connection: sqlite3.Connection) -> Iterator[Source]:
    """The sources that the last reading of the manifest named."""
    for row in connection.execute("SELECT source, sha256, bytes, version FROM media_sources WHERE listed"):
        yield Source(*row)


def sources_of(connection: sqlite3.Connection, sha256: str) -> list[Source]:
    """The sources that had this content."""
    rows = connection.execute("SELECT source, sha256, bytes, version FROM media_sources WHERE sha256 = ?", (sha256,))
    return [Source(*row) for row in rows]


def content(connection: sqlite3.Connection, sha256: str) -> Media | None:
    """The content with a hash, None if it is not recorded."""
    row = connection.execute(
        "SELECT sha256, bytes, mime, place, version FROM media WHERE sha256 = ?", (sha256,)
    ).fetchone()
    return None if row is None else Media(*row)


def places(connection: sqlite3.Connection) -> list[str]:
    """The URLs of objects that are not batcher's own."""
    if not is_known(connection):
        return []
    return [place for (place,) in connection.execute("SELECT place FROM media WHERE version IS NOT NULL")]


def unlist(connection: sqlite3.Connection) -> None:
    """Mark all sources as not named: a reading of the manifest begins."""
    connection.execute("UPDATE media_sources SET listed = 0")


def put_source(connection: sqlite3.Connection, source: Source) -> None:
    """Record a source that the manifest names, in place of an earlier reading of it."""
    connection.execute(
        "INSERT OR REPLACE INTO media_sources VALUES (?, ?, ?, ?, 1)",
        (source.source, source.sha256, source.bytes, source.version),
    )


def put_contents(connection: sqlite3.Connection, contents: Iterable[Media]) -> None:
    """Record contents. A ``place`` of None keeps the recorded place and version."""
    connection.executemany(
        "INSERT INTO media VALUES (?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET bytes = excluded.bytes,"
        " mime = excluded.mime, place = coalesce(excluded.place, place),"
        " version = CASE WHEN excluded.place IS NULL THEN version ELSE excluded.version END",
        [(one.sha256, one.bytes, one.mime, one.place, one.version) for one in contents],
    )
