"""Everything batcher raises on purpose, as a tree, with exit codes and who is to blame.

.. code-block:: text

    BatcherError                    a person reads the message; the process ends with .exit_code
    ├── UsageError        64  you      the command line, or a run directory it can't be used on
    ├── ManifestError     65  you      the manifest: every problem at once
    ├── ServiceError      69  service  unreachable or broken
    ├── DiskError         73  machine  full, read-only, not writable
    │   ├── Damaged       73  machine  the state file can't be read as one any more
    │   └── TakenOver     75  machine  another batcher writes to the run directory by now
    ├── BusyError         75  machine  another batcher holds the run directory
    └── AccountError      77  you      token missing or refused
        └── BalanceGone   77  you      nothing new can be paid for; what is paid for can be collected

    CallError                       one call to the service failed; the runner decides what that means
    ├── NotSent               nothing reached the service: repeat freely
    ├── Refused               429, or 503 with Retry-After: refused before it was taken up, repeat after it
    ├── Unclear               timeout, reset, 5xx, unreadable answer: on submit nobody knows, on a read ask again
    ├── NotFound              404: too early, or expired
    └── Rejected              the service said no, and why: repeating can't mend it

    FileError                       one file could not be had
    ├── LinkDead              403, 404, 410: one fresh result may carry a new link
    ├── FileUnavailable       anything that may pass: ask again, free
    └── FileRefused           untrusted host, over the caps, not a picture: repeating can't mend it

    Overtaken                       another process (``retry``, ``cancel``) moved this job meanwhile: read it again

    Defect                          a bug in batcher: exit 1, with a traceback
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a job failed, in the service's own words where it gave any.

    kind: one lower-case word or two joined by ``_``, stable over versions (``content_policy``, ``timeout``).
    message: one line, safe to print, at most 500 characters.
    http_status: of the answer that said so, or None when no answer did.
    code: the service's own number or word, or None.
    """

    kind: str
    message: str
    http_status: int | None = None
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind

    def as_gone(self) -> "Cause":
        """Why the service no longer has what was paid for. Only a person's decision pays for it again."""
        return Cause(kind="gone", message=self.message or self.kind, http_status=self.http_status)


class BatcherError(Exception):
    """Base of what a person reads. ``hint`` says how to fix it and what was kept.

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
    """One thing wrong in a manifest: ``file:line:column: what: how to mend it``.

    line and column count from 1; 0 means "not a place in the text" (a missing file, say) and is left out.

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
    """The manifest is wrong; ``problems`` lists all of it (the first ``len(problems)`` of ``total``).

    counted: how many of those that are not listed stand as a number in the text of one that is.

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


class ServiceError(BatcherError):
    """The service can't be reached, or answers what nobody understands; also the host of a manifest that is a URL.

    It is raised before anything is submitted. A service that is lost later ends the run in good order instead: then the
    report has ``stopped_by="service"`` and this exit code. The same call goes on.

    >>> try:
    ...     batcher.run("http://127.0.0.1:9/prompts.csv", out="runs/none", simulate=True)
    ... except batcher.ServiceError as error:
    ...     print(error.exit_code, error.hint)
    69 Nothing was submitted. Check the URL and the network, or download the file and give its path.
    """

    exit_code = 69


class DiskError(BatcherError):
    """The disk takes no more, or forbids it. A later start goes on.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/kite/report.json/below", simulate=True)
    ... except batcher.DiskError as error:
    ...     print(error.exit_code)
    73
    """

    exit_code = 73


class Damaged(DiskError):
    """The state file is not whole. ``verify --repair`` makes a new one."""


class BusyError(BatcherError):
    """Another batcher is at work in that run directory.

    >>> with batcher.start(["a kite"], out="runs/busy", simulate=True) as run:
    ...     try:
    ...         batcher.run(["a kite"], out="runs/busy", simulate=True)
    ...     except batcher.BusyError as error:
    ...         print(error.exit_code)
    75
    """

    exit_code = 75


class TakenOver(DiskError):
    """Another batcher has begun to write to the run directory: nothing more may be written by this one."""

    exit_code = 75


class AccountError(BatcherError):
    """The token is missing or refused, or the balance is gone. A later start goes on.

    >>> try:
    ...     batcher.run(["a kite"], out="runs/none")
    ... except batcher.AccountError as error:
    ...     print(error.exit_code, error.message)
    77 no token was given
    """

    exit_code = 77


class BalanceGone(AccountError):
    """The account has no money left: nothing new is submitted, and what is paid for is still collected."""


class Interrupted(BatcherError):
    """It was stopped before it began, so there is no report. A run that is stopped later has one, with this exit code.

    >>> with batcher.start(["a gull", "a tern"], out="runs/short", rate="1/min", simulate=True) as run:
    ...     _ = run.stop()  # as leaving the block, or Ctrl-C
    >>> run.report.stopped_by, run.report.exit_code == batcher.Interrupted.exit_code
    ('interrupted', True)
    >>> batcher.run("runs/short", rate="100/s").done  # the next start makes the rest
    2
    """

    exit_code = 130


class CallError(Exception):
    """One call failed. ``retry_after`` is in seconds from now, None when the service did not say."""

    def __init__(self, cause: Cause, *, retry_after: float | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.retry_after = retry_after


class NotSent(CallError):
    pass


class Refused(CallError):
    pass


class Unclear(CallError):
    pass


class NotFound(CallError):
    pass


class Rejected(CallError):
    pass


class FileError(Exception):
    """One file could not be had. ``retry_after`` as in CallError.

    digest: sha256 of what came, where it came whole and is not the file: the same bytes twice are no accident on the
    way.
    """

    def __init__(self, cause: Cause, *, retry_after: float | None = None, digest: str | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.retry_after = retry_after
        self.digest = digest


class LinkDead(FileError):
    pass


class FileUnavailable(FileError):
    pass


class FileRefused(FileError):
    pass


class Overtaken(Exception):
    """The job is not in the state that its mover took it to be in. Nothing was changed."""


class Defect(Exception):
    """Something that can't happen did: please report it."""
