"""How ids, names and links are kept short in the state file; ``schema.py`` has the way back in SQL."""

import re
from uuid import UUID

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MARK = "\x01"  # stands for the request id in a link
MOST_HEADS = 1000  # beginnings of links; a service with more has none in common


def packed_id(request_id: str) -> bytes | str:
    """A UUID, as the service gives them, in 16 bytes; anything else as it is."""
    return UUID(request_id).bytes if _UUID.fullmatch(request_id) else request_id


def packed_file(file: str, path: str) -> str:
    """What follows ``images/`` and the job's path; all of it where it is named otherwise."""
    return file.removeprefix(f"images/{path}")


def split_link(url: str, request_id: str | None) -> tuple[str, str] | None:
    """What this link has in common with others, and the rest with a mark for the request id; None if it can't be."""
    if MARK in url:
        return None
    marked = url.replace(request_id, MARK) if request_id else url
    end = marked.find(MARK)
    cut = marked.rfind("/", 0, end if end >= 0 else len(marked)) + 1
    return marked[:cut], marked[cut:]
