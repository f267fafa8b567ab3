"""What ``batcher tune`` requests for a run, and what the run records of it."""

from dataclasses import dataclass, replace

from batcher.core.job import utc
from batcher.core.settings import Settings
from batcher.core.units import show_count, show_rate, show_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Requested settings; None: the setting of the command.

    rate: submits per second. in_flight, downloads: how many at once. budget: dollars. deadline: Unix seconds.
    paused: submit nothing new. drain: finish the jobs at the service, then end; applies once.
    at: Unix seconds of the request. reason: free text.
    """

    rate: float | None = None
    in_flight: int | None = None
    downloads: int | None = None
    budget: float | None = None
    deadline: float | None = None
    paused: bool = False
    drain: bool = False
    reason: str = ""
    at: float = 0.0

    def settings(self, settings: Settings) -> Settings:
        """The settings of a command with the requested ones applied."""
        changes = {name: getattr(self, name) for name in ("rate", "in_flight", "downloads", "budget")}
        return replace(settings, **{name: value for name, value in changes.items() if value is not None})

    def words(self, before: "Control | None" = None) -> str:
        """``rate 2/s, budget $5.00``; empty if nothing is requested. With ``resumed`` if ``before`` was paused."""
        paused = "paused" if self.paused else "resumed" if before is not None and before.paused else None
        parts = [
            None if self.rate is None else f"rate {show_rate(self.rate)}",
            None if self.in_flight is None else f"{self.in_flight:,} in flight",
            None if self.downloads is None else show_count(self.downloads, "download"),
            None if self.budget is None else f"budget {show_usd(self.budget)}",
            None if self.deadline is None else f"deadline {utc(self.deadline)}",
            paused,
        ]
        return ", ".join(part for part in parts if part)

    def asked(self, before: "Control | None" = None) -> str:
        """What is requested, as a sentence without its end, with the reason."""
        drained = "finish what is at the service, then end"
        words = drained if self.drain else self.words(before) or "as the command says"
        return words + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Obeyed(Control):
    """A request that a run applied. obeyed_at: since when, UTC."""

    obeyed_at: str | None = None
