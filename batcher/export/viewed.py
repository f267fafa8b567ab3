"""The pictures of a run with all that can be asked of them, as ``pick`` and ``more`` choose them."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from batcher.core.groups import group_key
from batcher.core.where import FLAG, VERDICTS, Where, WhereError, look_up, usage_error
from batcher.images.flagging import Place
from batcher.store import exporting
from batcher.store.exporting import Picture
from batcher.store.picks import Picks, Verdict

FACTS = (
    "prompt_id", "model", "width", "height", "bytes", "mime", "source", "line", "job", "file", "output_index", "copy",
    "cost_usd",
)  # fmt: skip


class Viewed(NamedTuple):
    """A picture of a finished job of the manifest. verdict: None where there is none, or it is stale."""

    picture: Picture
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any]
    chosen: Mapping[str, Any]
    verdict: Verdict | None
    flags: Sequence[str] = ()

    @property
    def place(self) -> tuple[str, int]:
        return self.picture.key, self.picture.output_index

    @property
    def group(self) -> str:
        return group_key(self.picture.model, self.inputs)

    def value(self, name: str) -> Any:
        """Of a name of ``--where``; None where it has none."""
        values = self.verdict.said if self.verdict else {}
        own = {"job": self.picture.key} if name == "job" else {name: getattr(self.picture, name, None)}
        facts = {**(own if name in FACTS else {}), **values, FLAG: list(self.flags)}
        return look_up(name, self.inputs, self.meta, facts, self.chosen)

    @property
    def names(self) -> set[str]:
        carried = {f"meta.{name}" for name in self.meta} | {f"chosen.{name}" for name in self.chosen}
        return {*self.inputs, *self.chosen, *carried}


def viewed(connection: sqlite3.Connection, picks: Picks, flags: Mapping[Place, list[str]]) -> Iterator[Viewed]:
    """All of them, in the order of the state file. flags: as ``images.flagging`` gives them."""
    for picture in exporting.pictures(connection, removed=False):
        place = picture.key, picture.output_index
        verdict = picks.of(*place, picture.sha256)
        meta = json.loads(picture.meta) if picture.meta else {}
        chosen = json.loads(picture.chosen) if picture.chosen else {}
        yield Viewed(picture, json.loads(picture.inputs), meta, chosen, verdict, flags.get(place, ()))


def matching(everything: Iterator[Viewed], where: Where) -> Iterator[Viewed]:
    """Those that ``where`` means. Raises UsageError, at the end also for a name that nothing has."""
    names = {*FACTS, *VERDICTS}
    try:
        for one in everything:
            names |= one.names
            if where({name: one.value(name) for name in where.names}):
                yield one
        where.require(names)
    except WhereError as error:
        raise usage_error(where.text, error) from None
