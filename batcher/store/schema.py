"""The state file's tables, and how older ones become today's.

Each migration is a list of statements that commits together with its number in ``PRAGMA user_version``; the list only
grows. The ``*_data`` tables are compact (a million jobs is a normal size); ``jobs``, ``attempts`` and ``images`` are
views of them for people: hexadecimal keys, times in UTC. The comments below are part of the file: ``.schema`` in the
``sqlite3`` shell shows them.
"""

import sqlite3

from batcher.store.compact import SECOND

APPLICATION_ID = 0x62746368  # "btch": tells our file from another program's
_UTC = "strftime('%Y-%m-%dT%H:%M:%fZ', {0} / 1000.0, 'unixepoch')"

_FIRST = [
    """
CREATE TABLE meta (  -- facts about the run: where it goes, what it was last told, the price and its date
    name  TEXT PRIMARY KEY,
    value TEXT  -- JSON
) WITHOUT ROWID
""",
    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)  -- models, files, media types: once each",
    """
CREATE TABLE job_data (  -- one row for each request ever planned; see the view "jobs"
    id        INTEGER PRIMARY KEY,         -- in the order first seen
    key       BLOB NOT NULL UNIQUE,        -- identity: BLAKE2b-128 of model, inputs and copy number
    state     TEXT NOT NULL CHECK (state IN
              ('pending','submitting','running','ready','done','failed','cancelled','in_doubt')),
    listed    INTEGER NOT NULL DEFAULT 1,  -- 0: no longer in the manifest
    model     INTEGER NOT NULL REFERENCES words,
    copy      INTEGER NOT NULL,            -- the n-th occurrence of this request in the manifest
    source    INTEGER NOT NULL REFERENCES words,
    line      INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,  -- submits that may have been paid for
    fold      INTEGER NOT NULL UNIQUE,     -- hash of the path without letter case: no two files may clash
    path      TEXT NOT NULL,               -- below images/, without number and extension
    prompt_id TEXT NOT NULL,
    inputs    TEXT NOT NULL,               -- JSON, as sent
    meta      TEXT,                        -- JSON, NULL for none
    cause     TEXT                         -- JSON: why it failed, or is in doubt
)
""",
    "CREATE INDEX job_states ON job_data (state, listed)",
    """
CREATE TABLE attempt_data (  -- one row for each submit that was not refused; see the view "attempts"
    job_id       INTEGER NOT NULL REFERENCES job_data,
    n            INTEGER NOT NULL,   -- from 1
    outcome      TEXT NOT NULL CHECK (outcome IN
                 ('submitting','accepted','succeeded','saved','failed','rejected','cancelled','in_doubt')),
    submitted_at INTEGER NOT NULL,   -- milliseconds since 1970, UTC, written before the request leaves
    accepted_at  INTEGER,
    finished_at  INTEGER,            -- as the service says, else when it was noticed
    request_id   TEXT,
    cost_usd     REAL,               -- as the service says, NULL while unknown
    urls         TEXT,               -- JSON list of links, until the files are saved
    cause        TEXT,               -- JSON: why this attempt failed
    PRIMARY KEY (job_id, n)
) WITHOUT ROWID
""",
    """
CREATE TABLE image_data (  -- one row for each file on disk; see the view "images"
    job_id        INTEGER NOT NULL REFERENCES job_data,
    output_index  INTEGER NOT NULL,  -- from 0
    output_count  INTEGER NOT NULL,
    downloaded_at INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    width         INTEGER,
    height        INTEGER,
    mime          INTEGER NOT NULL REFERENCES words,
    sha256        BLOB NOT NULL,
    file          TEXT NOT NULL,     -- relative to the run directory
    url           TEXT NOT NULL,
    warning       TEXT,
    PRIMARY KEY (job_id, output_index)
) WITHOUT ROWID
""",
    "CREATE INDEX image_hashes ON image_data (substr(sha256, 1, 8))",
    f"""
CREATE VIEW jobs AS  -- a job a row: SELECT state, count(*) FROM jobs GROUP BY state
SELECT j.id, lower(hex(j.key)) AS key, j.state, j.listed, m.word AS model, json_extract(j.inputs, '$.prompt') AS prompt,
       j.inputs, j.prompt_id, j.meta, s.word AS source, j.line, j.copy, j.attempts, 'images/' || j.path AS path,
       a.request_id, {_UTC.format("a.submitted_at")} AS submitted_at, {_UTC.format("a.finished_at")} AS finished_at,
       a.cost_usd, json_extract(j.cause, '$.kind') AS cause, json_extract(j.cause, '$.message') AS message
FROM job_data j JOIN words m ON m.id = j.model JOIN words s ON s.id = j.source
LEFT JOIN attempt_data a ON a.job_id = j.id AND a.n = j.attempts
""",
    f"""
CREATE VIEW attempts AS  -- the history of every job: each submit, what came of it, what it cost
SELECT lower(hex(j.key)) AS key, a.n, a.outcome, a.request_id, {_UTC.format("a.submitted_at")} AS submitted_at,
       {_UTC.format("a.accepted_at")} AS accepted_at, {_UTC.format("a.finished_at")} AS finished_at, a.cost_usd,
       json_extract(a.cause, '$.kind') AS cause, json_extract(a.cause, '$.message') AS message, a.urls
FROM attempt_data a JOIN job_data j ON j.id = a.job_id
""",
    f"""
CREATE VIEW images AS  -- the files on disk
SELECT lower(hex(j.key)) AS key, i.file, i.bytes, lower(hex(i.sha256)) AS sha256, w.word AS mime, i.width, i.height,
       i.output_index, i.output_count, {_UTC.format("i.downloaded_at")} AS downloaded_at, i.url, i.warning
FROM image_data i JOIN job_data j ON j.id = i.job_id JOIN words w ON w.id = i.mime
""",
]

MIGRATIONS: list[list[str]] = [_FIRST, SECOND]
VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, migrations: list[list[str]] | None = None) -> None:
    """Brings the file up to date; each step commits with its number, so a kill in between leaves a whole step.

    The connection must be in autocommit mode (``isolation_level=None``).
    """
    steps = MIGRATIONS if migrations is None else migrations
    (have,) = connection.execute("PRAGMA user_version").fetchone()
    for number, statements in enumerate(steps[have:], start=have + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
