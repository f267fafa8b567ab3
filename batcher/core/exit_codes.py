"""What the exit codes mean, for the manual. Which one a run ends with: ``runner.stop.SEVERITY``."""

from typing import NamedTuple


class Meaning(NamedTuple):
    what: str
    then: str  # what to do


EXIT_CODES = {
    0: Meaning("every job of the manifest is done", ""),
    1: Meaning("a defect in batcher, with a traceback", "please report it; the run directory can be resumed"),
    3: Meaning(
        "finished; some jobs failed, listed with their causes; or an export had to leave images out; or a check"
        " found something wrong",
        "`batcher retry RUN` for failed jobs; else see the message",
    ),
    4: Meaning(
        "stopped on purpose with work left (budget, deadline, `--max-failures`, `--limit`, paused), or some jobs are"
        " cancelled",
        "raise the limit and run again",
    ),
    5: Meaning(
        "finished; some jobs are in doubt and need a decision", "see [in doubt](troubles.md#in-doubt); it can wait"
    ),
    64: Meaning("the command line is wrong, or this directory can't be used for it", "see the message"),
    65: Meaning("the manifest is wrong: every error listed with its place", "fix it; nothing was spent"),
    69: Meaning(
        "the service is unreachable or broken, or a row of identical failures blew the fuse", "run again later"
    ),
    73: Meaning("the disk cannot take it (full, read-only)", "free some space, run again"),
    75: Meaning("the run directory is in use by another batcher", "wait, or stop the other one"),
    77: Meaning("the token is missing or refused, or the balance is gone", "fix it, run again"),
    130: Meaning("interrupted (Ctrl-C, or SIGTERM)", "run again"),
}
