"""``--where`` applied to one image or job after another, and the names that an expression may use."""

from collections.abc import Collection, Mapping
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.where import FLAG, VERDICTS, Values, Where, WhereError, look_up

JOB_FACTS = ("prompt_id", "model", "source", "line", "job", "copy", "state")
IMAGE_FACTS = (
    "prompt_id", "model", "width", "height", "bytes", "mime", "source", "line", "job", "file", "output_index", "copy",
    "cost_usd",
)  # fmt: skip
"""Names that every job, and every image, has beside inputs, ``meta.NAME``, ``chosen.NAME`` and verdicts."""


class Filter:
    """text: the expression, None for all. facts: names that every image has. names: those that the expression uses.

    Raises UsageError for an invalid expression.
    """

    def __init__(self, text: str | None, facts: Collection[str]) -> None:
        text = "true" if text is None else text
        try:
            self._where = Where(text)
        except WhereError as error:
            raise _refusal(text, error) from None
        self.names = self._where.names
        self._facts = {name: "key" if name == "job" else name for name in self.names if name in facts}
        self._names: set[str] = {*facts, *VERDICTS}
        self._carried: set[str] = set()

    def __call__(self, row: Any, inputs: Values, meta: Values, chosen: Values, more: Values) -> bool:
        """Whether it matches. row: has the facts as attributes (``job`` as ``key``). more: verdict, flags, state.

        Raises UsageError for an order between text and numbers.
        """
        if not inputs.keys() <= self._names:
            self._names.update(inputs)
        if not meta.keys() <= self._carried:
            self._carried.update(meta)
        if chosen:
            self._names.update(chosen, (f"chosen.{name}" for name in chosen))
        facts = {name: getattr(row, attribute, None) for name, attribute in self._facts.items()}
        facts.update(more)
        try:
            return self._where({name: look_up(name, inputs, meta, facts, chosen) for name in self.names})
        except WhereError as error:
            raise _refusal(self._where.text, error) from None

    @property
    def seen(self) -> set[str]:
        """The names that an expression may use, of the images seen so far."""
        return self._names | {f"meta.{name}" for name in self._carried}

    def check(self) -> None:
        """Called after the last image. Raises UsageError if the expression uses a name that no image has."""
        try:
            self._where.require(self.seen)
        except WhereError as error:
            raise _refusal(self._where.text, error) from None

    def warnings(self) -> list[str]:
        """Comparisons with a value of another type, and what to write instead."""
        return self._where.warnings()


def verdict_of(values: Mapping[str, Any], flags: Collection[str]) -> dict[str, Any]:
    """The argument ``more`` for an image."""
    return {**values, FLAG: list(flags)}


def _refusal(text: str, error: WhereError) -> UsageError:
    at = error.column - 1
    return UsageError(
        f"--where: column {error.column}, at {text[at : at + 24]!r}: {error.what}",
        hint=f"{error.mend}{'' if error.mend.endswith('?') else '.'} Nothing was written.",
    )
