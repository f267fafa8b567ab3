"""The tables of a state file. The columns are plain values, so the ``sqlite3`` shell can be used on them.

The comments in the statements are stored in the file: ``.schema`` shows them.
"""

import sqlite3
from collections.abc import Sequence

APPLICATION_ID = 0x62746368  # "btch": marks the file as batcher's
VERSION = 3  # of the tables, in ``PRAGMA user_version``; 1 and 2 were never released

NEWEST = (
    "outcome, images, request_id, submitted_at, accepted_at, finished_at, cost_usd, cause, message, http_status, code"
)

_PAST = ", ".join(f"p.{name}" for name in NEWEST.split(", "))

STATES = ("pending", "submitting", "running", "ready", "done", "failed", "cancelled", "in_doubt")
OUTCOMES = ("submitting", "accepted", "succeeded", "saved", "failed", "rejected", "cancelled", "in_doubt")


def _one_of(column: str, words: Sequence[str]) -> str:
    """SQL for a column with one of these values. SQLite builds a temporary table for ``IN (...)`` at every write."""
    return " OR ".join(f"{column} = '{word}'" for word in words)


TABLES = [
    """
CREATE TABLE meta (  -- facts about the run
    name  TEXT PRIMARY KEY,
    value TEXT  -- JSON
) WITHOUT ROWID
""",
    f"""
CREATE TABLE jobs (  -- one row for each request ever planned, with its newest attempt
    id        INTEGER PRIMARY KEY,         -- in the order of planning
    key       TEXT NOT NULL,               -- unique; 32 hex digits: BLAKE2b-128 of model, inputs and copy number
    state     TEXT NOT NULL CHECK ({_one_of("state", STATES)}),
    position  INTEGER,                     -- in the manifest, from 0; NULL: not in it any more
    model     TEXT NOT NULL,
    inputs    TEXT NOT NULL,               -- JSON, as sent
    copy      INTEGER NOT NULL,            -- the n-th occurrence of this request in the manifest
    prompt_id TEXT NOT NULL,
    meta      TEXT,                        -- JSON, NULL for none
    chosen    TEXT,                        -- JSON: what vars, templates and repeats chose; NULL for none
    source    TEXT NOT NULL,               -- file that holds the prompt
    line      INTEGER NOT NULL,            -- its line there, from 1
    path      TEXT NOT NULL,               -- images/... without number and extension
    name      TEXT NOT NULL,               -- unique; path without letter case, so that no two files clash
    attempts  INTEGER NOT NULL DEFAULT 0,  -- submits that may have been paid for
    images    INTEGER NOT NULL DEFAULT 1,  -- requested; the price of one is multiplied by it
    outcome   TEXT CHECK ({_one_of("outcome", OUTCOMES)}),
    request_id   TEXT,
    submitted_at TEXT,                     -- UTC, written before the request is sent
    accepted_at  TEXT,
    finished_at  TEXT,                     -- as the service reports it, else when it was noticed
    cost_usd     REAL,                     -- as the service reports it, NULL while unknown
    urls         TEXT,                     -- JSON list, until the files are on disk
    cause        TEXT,                     -- why it failed, or is in doubt: one word
    message      TEXT,
    http_status  INTEGER,
    code         TEXT,                     -- the service's own error code
    prompt    TEXT GENERATED ALWAYS AS (json_extract(inputs, '$.prompt')) VIRTUAL
)
""",
    "CREATE UNIQUE INDEX job_keys ON jobs (key)",
    "CREATE UNIQUE INDEX job_names ON jobs (name)",
    "CREATE INDEX job_states ON jobs (state, position, images)",  # with images, sums over jobs read only the index
    "CREATE INDEX request_ids ON jobs (request_id) WHERE request_id IS NOT NULL",
    """
CREATE TABLE past_attempts (  -- submits before the newest one of a job; see the view "attempts"
    job_id       INTEGER NOT NULL REFERENCES jobs,
    n            INTEGER NOT NULL,  -- from 1
    outcome      TEXT NOT NULL,
    images       INTEGER NOT NULL,
    request_id   TEXT,
    submitted_at TEXT,
    accepted_at  TEXT,
    finished_at  TEXT,
    cost_usd     REAL,
    cause        TEXT,
    message      TEXT,
    http_status  INTEGER,
    code         TEXT,
    PRIMARY KEY (job_id, n)
) WITHOUT ROWID
""",
    """
CREATE TABLE images (  -- one row for each file on disk
    job_id        INTEGER NOT NULL REFERENCES jobs,
    output_index  INTEGER NOT NULL,  -- from 0
    output_count  INTEGER NOT NULL,
    file          TEXT NOT NULL,     -- relative to the run directory
    bytes         INTEGER NOT NULL,
    sha256        TEXT NOT NULL,
    mime          TEXT NOT NULL,
    width         INTEGER,
    height        INTEGER,
    downloaded_at TEXT NOT NULL,
    url           TEXT NOT NULL,
    warning       TEXT,
    PRIMARY KEY (job_id, output_index)
) WITHOUT ROWID
""",
    "CREATE INDEX past_request_ids ON past_attempts (request_id) WHERE request_id IS NOT NULL",
    "CREATE INDEX image_hashes ON images (substr(sha256, 1, 16))",
    f"""
CREATE VIEW attempts AS  -- the history of every job: each submit with its outcome and cost
SELECT j.id AS job_id, j.key, p.n, {_PAST} FROM past_attempts p JOIN jobs j ON j.id = p.job_id
UNION ALL SELECT id, key, attempts, {NEWEST} FROM jobs WHERE attempts > 0
""",
]


def create(connection: sqlite3.Connection) -> None:
    """Create the tables of an empty file, all or none. The connection must be in autocommit mode."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not version:  # else another process has just created them
            for statement in TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
