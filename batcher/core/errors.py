"""Every exception batcher raises on purpose, as a tree, with its exit code and who can fix it.

.. code-block:: text

    BatcherError                    a person reads the message; the process ends with .exit_code
    ├── UsageError        64  you      the command line, or a run directory it can't be used on
    ├── ManifestError     65  you      the manifest: every problem at once
    ├── ServiceError      69  service  unreachable or broken
    ├── DiskError         73  machine  full, read-only, not writable
    │   ├── Damaged       73  machine  the state file can't be read as one any more
    │   └── TakenOver     75  machine  another batcher has started to write to the run directory
    ├── BusyError         75  machine  another batcher holds the run directory
    └── AccountError      77  you      token missing or refused
        └── BalanceGone   77  you      nothing new can be paid for; what is paid for can be collected

    CallError                       one call to the service failed; the runner decides what that means
    ├── NotSent               nothing reached the service: repeat freely
    ├── Refused               429, or 503 with Retry-After: not accepted, repeat after that time
    ├── Unclear               timeout, reset, 5xx, unreadable answer: a submit may have been accepted; repeat a read
    ├── NotFound              404: too early, or expired
    └── Rejected              the service rejected it, with a reason: repeating does not help

    FileError                       one file could not be fetched
    ├── LinkDead              403, 404, 410: a new result may have a new link
    ├── FileUnavailable       a temporary problem: try again, free
    └── FileRefused           untrusted host, too large, not an image: repeating does not help

    Overtaken                       another process (``retry``, ``cancel``) changed this job: read it again

    Mistake                         a template, an expression or an option can't be read

    Defect                          a bug in batcher: exit 1, with a traceback
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a job failed, in the service's own words if there are any.

    kind: one lower-case word or two joined by ``_``, stable over versions (``content_policy``, ``timeout``).
    message: one line, safe to print, at most 500 characters.
    http_status: of the answer that reported it, or None.
    code: the service's own error code, or None.
    """

    kind: str
    message: str
    http_status: int | None = None
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind

    def as_gone(self) -> "Cause":
        """The cause if the service no longer has a result that was paid for. Only a person can pay for it again."""
        return Cause(kind="gone", message=self.message or self.kind, http_status=self.http_status)


class BatcherError(Exception):
    """Base of the errors a person reads. ``hint`` says how to fix it and what was kept.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/none", aspect="1:1", simulate=True)
    ... except batcher.BatcherError as error:
    ...     print(error.exit_code, error.message)
    64 batcher has no option 'aspect'
    """

    exit_code: ClassVar[int]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(BatcherError):
    """The call or the command line is wrong; nothing was done.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/none", rate="fast", simulate=True)
    ... except batcher.UsageError as error:
    ...     print(error.message)
    rate 'fast': a rate looks like 5/s, 300/min or 1000/h
    """

    exit_code = 64


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a manifest: ``file:line:column: what: how to fix it``.

    file: as it was named. what: the error. mend: how to fix it, "" if unknown.

    line and column count from 1; 0 means that there is no position (a missing file, say), and it is left out.

    >>> print(batcher.Problem("night.csv", 7, 3, "`seed` must be an integer", "write 4"))
    night.csv:7:3: `seed` must be an integer: write 4
    """

    file: str
    line: int
    column: int
    what: str
    mend: str

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{max(self.column, 1)}"
        return f"{place}: {self.what}: {self.mend}" if self.mend else f"{place}: {self.what}"


class ManifestError(BatcherError):
    """The manifest has errors; ``problems`` lists the first ``len(problems)`` of ``total``.

    counted: how many of the others are included as a number in the text of a listed one.

    >>> try:
    ...     batcher.run([{"prompt": "a kite", "aspect_ratio": "17:9"}], out="runs/none", simulate=True)
    ... except batcher.ManifestError as error:
    ...     print([problem.file for problem in error.problems])
    ['rows[0].aspect_ratio']
    """

    exit_code = 65

    def __init__(self, problems: Sequence[Problem], *, total: int | None = None, counted: int = 0) -> None:
        self.problems = tuple(sorted(problems))
        self.total = len(self.problems) if total is None else total
        lines = [str(problem) for problem in self.problems]
        if (more := self.total - len(lines) - counted) > 0:
            lines.append(f"... and {more:,} more like these")
        super().__init__("\n".join(lines), hint="Nothing was submitted and nothing was spent.")


class Mistake(ValueError):
    """What is wrong with a text of the user, and how to fix it.

    column: in that text, from 1; 0 for none. what: the error, without its place. mend: what to write instead.
    """

    def __init__(self, column: int, what: str, mend: str) -> None:
        super().__init__(f"column {column}: {what}: {mend}" if column else f"{what}: {mend}")
        self.column, self.what, self.mend = column, what, mend


class ServiceError(BatcherError):
    """The service, or the host of a manifest URL, can't be reached or gives unreadable answers.

    It is raised only before anything is submitted. If the service fails later, the run ends with a report that has
    ``stopped_by="service"`` and this exit code. The same call continues the run.

    >>> try:
    ...     batcher.run("http://127.0.0.1:9/prompts.csv", out="runs/none", simulate=True)
    ... except batcher.ServiceError as error:
    ...     print(error.exit_code, error.hint)
    69 Nothing was submitted. Check the URL and the network, or download the file and give its path.
    """

    exit_code = 69


class DiskError(BatcherError):
    """The disk is full, read-only or not writable. A later start continues the run.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/kite/report.json/below", simulate=True)
    ... except batcher.DiskError as error:
    ...     print(error.exit_code)
    73
    """

    exit_code = 73


class Damaged(DiskError):
    """The state file is damaged. ``verify --repair`` makes a new one."""


class BusyError(BatcherError):
    """Another batcher is using that run directory.

    >>> with batcher.start(["a kite"], out="runs/busy", simulate=True) as run:
    ...     try:
    ...         batcher.run(["a kite"], out="runs/busy", simulate=True)
    ...     except batcher.BusyError as error:
    ...         print(error.exit_code)
    75
    """

    exit_code = 75


class TakenOver(DiskError):
    """Another batcher has started to write to the run directory, so this one must not write any more."""

    exit_code = 75


class AccountError(BatcherError):
    """The token is missing or refused, or the balance is used up. A later start continues the run.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/none")
    ... except batcher.AccountError as error:
    ...     print(error.exit_code, error.message)
    77 no token was given
    """

    exit_code = 77


class BalanceGone(AccountError):
    """The balance is used up: nothing new is submitted, and results already paid for are still fetched."""


class Interrupted(BatcherError):
    """The run was stopped before it began, so there is no report. A run stopped later has one, with this exit code.

    >>> with batcher.start(["a gull", "a tern"], out="runs/short", rate="1/min", simulate=True) as run:
    ...     _ = run.stop()  # as leaving the block, or Ctrl-C
    >>> run.report.stopped_by, run.report.exit_code == batcher.Interrupted.exit_code
    ('interrupted', True)
    >>> batcher.run("runs/short", rate="100/s").done  # the next start makes the rest
    2
    """

    exit_code = 130


class CallError(Exception):
    """One call failed. cause: as it would be recorded. retry_after: seconds from now, None if the service gave none."""

    def __init__(self, cause: Cause, *, retry_after: float | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.retry_after = retry_after


class NotSent(CallError):
    """Nothing reached the service: repeat freely."""


class Refused(CallError):
    """429, or 503 with Retry-After: not accepted, repeat after that time."""


class Unclear(CallError):
    """A submit may have been accepted; a read is repeated."""


class NotFound(CallError):
    """404: too early, or expired."""


class Rejected(CallError):
    """The service rejected it, with a reason: repeating does not help."""


class FileError(Exception):
    """One file could not be fetched.

    cause: why, as it would be recorded. retry_after: seconds from now, None if the host gave none. digest: sha256 of a
    complete body that is not the expected file. The same digest twice rules out a transfer error.
    """

    def __init__(self, cause: Cause, *, retry_after: float | None = None, digest: str | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.retry_after = retry_after
        self.digest = digest


class LinkDead(FileError):
    """403, 404, 410: a new result may have a new link."""


class FileUnavailable(FileError):
    """A temporary problem: try again, free."""


class FileRefused(FileError):
    """Untrusted host, too large, not an image: repeating does not help."""


class Overtaken(Exception):
    """The job is not in the state that the caller expected. Nothing was changed."""


class Defect(Exception):
    """A bug in batcher: please report it."""
