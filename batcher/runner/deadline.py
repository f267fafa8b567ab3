"""When a deadline is reached, by the clock of this machine."""

from datetime import datetime, timedelta

from batcher.core.settings import Deadline


def deadline_at(deadline: Deadline | None, now: float) -> float | None:
    """The deadline in Unix seconds. A time of day is the next one on the local clock, whatever summer time does."""
    if deadline is None:
        return None
    if deadline.seconds is not None:
        return now + deadline.seconds
    local = datetime.fromtimestamp(now).astimezone()
    today = local.replace(tzinfo=None, hour=deadline.hour, minute=deadline.minute, second=0, microsecond=0, fold=0)
    again = today.replace(fold=1)  # the second one of an hour that the clock shows twice; in other hours no other
    twice = again.timestamp() > today.timestamp()
    moments = (today, again if twice else today, today + timedelta(days=1))
    return next(moment.timestamp() for moment in moments if moment.timestamp() > now)
