"""Parses and prints rates, durations, times of day and money. Pure; every parser raises ValueError."""

import re

_PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "m": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(?:(?:/|per)\s*([a-z]+))?", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")
SLOWEST_RATE, FASTEST_RATE = 1e-6, 1e6  # per second; numbers beyond these are slips, and arithmetic on them overflows
LONGEST_DURATION = 1000 * 86400.0  # seconds
MOST_USD = 1e9
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def parse_rate(text: str) -> float:
    """``5/s``, ``300/min``, ``1000/h`` or a bare number (per second) as starts per second."""
    match = _RATE.fullmatch(text.strip())
    unit = (match.group(2) or "s").lower() if match else ""
    rate = float(match.group(1)) / _PER[unit] if match and unit in _PER else 0.0
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError("a rate looks like 5/s, 300/min or 1000/h")
    return rate


def parse_duration(text: str) -> float:
    """``8h``, ``90m``, ``1h30m``, ``45s``, ``2d`` as seconds."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError("a duration looks like 8h, 90m, 1h30m or 45s")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    if total > LONGEST_DURATION:
        raise ValueError("a duration is at most 1000d")
    return total


def parse_clock(text: str) -> tuple[int, int]:
    """``07:00`` as hour and minute."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ValueError("a time of day looks like 07:00")
    return int(match.group(1)), int(match.group(2))


def parse_count(text: str) -> int:
    """A whole number from 1 to 999,999,999."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) < 1:
        raise ValueError("must be a whole number from 1 to 999,999,999")
    return int(text)


def parse_usd(text: str) -> float:
    """``10``, ``0.04``, ``$10`` as dollars."""
    match = re.fullmatch(r"\$?\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)", text.strip())
    if match is None:
        raise ValueError("an amount in dollars looks like 10 or 0.04")
    if float(match.group(1)) > MOST_USD:
        raise ValueError("an amount is at most a billion dollars")
    return float(match.group(1))


def show_duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 4 h``: two units at most."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def show_about(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``, ``3 d 4 h``: an estimated duration."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else show_duration(seconds)


def show_bytes(count: float) -> str:
    """``812 B``, ``4.2 MB``, ``1.6 GB`` in powers of ten, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def show_rate(per_second: float) -> str:
    """``5.0/s``, or ``24/min`` and ``90/h`` for lower rates."""
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    return f"{per_second * 60:.0f}/min" if per_second * 60 >= 1 else f"{per_second * 3600:.1f}/h"


def show_count(count: int, word: str, several: str | None = None) -> str:
    """``1 job``, ``1,632 jobs``. several: the plural, if it is not ``word`` with an ``s``."""
    return f"{count:,} {word if count == 1 else several or f'{word}s'}"


def show_usd(amount: float) -> str:
    """``$3.26``, ``$0.20``; under a dollar with the digits that matter, two at least."""
    if amount >= 1 or amount == 0:
        return f"${amount:,.2f}"
    whole, _, part = f"{amount:.{4 if amount >= 0.001 else 8}f}".partition(".")
    return f"${whole}.{part.rstrip('0'):0<2}"
