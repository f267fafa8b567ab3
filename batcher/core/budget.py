"""The budget of a run (``--budget``). Pure arithmetic, in dollars; one instance per run.

The price of a submit is reserved before it is sent. It is replaced by the cost that the service reports, and released
if the service never accepted the submit. A submit is allowed if:

- spent + reserved + its price is at most the ceiling, and
- spent + the worst cost of every job at the service is at most the ceiling.

So the last job alone can exceed the ceiling, whatever it costs, as long as no other job costs more than its worst.
With ``--in-flight 1`` there is no other job, and the rule holds for any cost.

The worst cost of a job is a multiple of its price: FIRST until the cost of one image of its kind is known, YOUNG for
the first FEW images, then GROWN or (highest cost / lowest cost), whichever is more. The first job is submitted alone.

The kind of a job is what its price depends on: the model, and its inputs without texts and seed. The cost of a draft
says nothing about the same model at 4K.
"""

from collections.abc import Hashable, Mapping
from typing import Any

from batcher.core.units import show_usd

FIRST = 100  # worst cost / price, until a job of the kind has ended
YOUNG = 10  # the same, until FEW images of the kind have ended
FEW = 4
GROWN = 4  # the same afterwards, or highest / lowest cost if that is more
LEAST = 0.01  # dollars per image: assumed price of a kind that was free so far
EPSILON = 1e-9  # of the ceiling: tolerance, so that sums of 0.04 reach a round budget despite rounding
MOST_KINDS = 200  # all further kinds count as one

_NO_PRICE = frozenset({"seed", "prompt", "negative_prompt", "text", "promptText", "tags", "lyrics"})
_LONGEST = 24  # characters: a longer text is a prompt, not an option that affects the price

Kind = Hashable


def kind_of(model: str, inputs: Mapping[str, Any]) -> Kind:
    """The kind of a request: the model and the inputs that may affect its price, without texts and seed."""
    choices = []
    for name, value in inputs.items():
        if name not in _NO_PRICE and isinstance(value, str | int | float):
            text = str(value)
            if len(text) <= _LONGEST and " " not in text:
                choices.append((name, text))
    return model, *sorted(choices)


class _Seen:
    """Counts of one kind. at_service, settled: images. priced: a cost is known. lowest, highest: dollars per image."""

    __slots__ = ("at_service", "highest", "lowest", "priced", "settled")

    def __init__(self) -> None:
        self.at_service = self.settled = 0
        self.priced = False
        self.lowest = self.highest = 0.0

    def add(self, cost: float) -> None:
        self.lowest = min(self.lowest, cost) if self.priced else cost
        self.highest = max(self.highest, cost)
        self.priced = True

    @property
    def times(self) -> float:
        """Worst cost of a job at the service, as a multiple of its price."""
        if not self.settled:
            return FIRST
        if self.settled < FEW:
            return YOUNG
        if not self.priced:
            return GROWN
        return max(GROWN, min(FIRST, self.highest / self.lowest if self.lowest else FIRST))


class Budget:
    """Dollars spent and reserved, and whether another submit is allowed.

    ceiling: dollars over the life of the run directory, None for no limit.
    price: dollars per image, None if unknown. It rises to the highest cost that the service charged for one image.
    spent: dollars spent by earlier processes, jobs in doubt included; ``price`` is used where no cost is known.
    feared: price of the submits that the service failed without reporting a cost. It may have charged them, so they
        count towards the ceiling.
    tried: whether a job was already bought at this price.
    """

    def __init__(
        self, ceiling: float | None, price: float | None, *, spent: float, feared: float = 0.0, tried: bool = True
    ) -> None:
        self.ceiling = ceiling
        self.price = price
        self.spent = spent
        self.feared = feared
        self._listed = price
        self._tried = tried
        self._kinds: dict[Kind, _Seen] = {}

    def _seen(self, kind: Kind) -> _Seen:
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = None
        return self._kinds.setdefault(kind, _Seen())

    def _price(self, seen: _Seen) -> float:
        """Dollars per image of a kind: its highest cost, at least the listed price; with no cost yet, ``price``."""
        return max(self._listed or 0.0, seen.highest) if seen.priced else self.price or 0.0

    def hold(self, kind: Kind, images: int) -> None:
        """Reserve the price of a job that an earlier process left at the service."""
        self._seen(kind).at_service += images

    def learn(self, kind: Kind, images: int, cost_usd: float) -> None:
        """Take the cost of a job of an earlier process into account for the price of its kind."""
        seen = self._seen(kind)
        seen.settled += images
        self._charged(seen, cost_usd / images)

    def _charged(self, seen: _Seen, each: float) -> None:
        seen.add(each)
        self.price = max(self.price or 0.0, each)

    @property
    def reserved(self) -> float:
        """Dollars reserved for jobs at the service and submits on their way."""
        return sum(seen.at_service * self._price(seen) for seen in self._kinds.values() if seen.at_service)

    @property
    def waits(self) -> bool:
        """Whether a refused submit may be allowed later, because jobs at the service are not settled yet."""
        return any(seen.at_service for seen in self._kinds.values())

    def reserve(self, images: int, kind: Kind = ()) -> bool:
        """Reserve the price of one submit. False, without a reservation, if the ceiling does not allow it."""
        seen = self._seen(kind)
        if self.ceiling is not None:
            room = self.ceiling * (1.0 + EPSILON) - self.spent - self.feared
            if self.reserved + images * self._price(seen) > room or (self.waits and self._worst() > room):
                return False
        seen.at_service += images
        return True

    def _worst(self) -> float:
        """Worst cost of all jobs at the service, in dollars."""
        if not self._tried:
            return float("inf")
        return sum(one.at_service * one.times * max(self._price(one), LEAST) for one in self._kinds.values())

    def release(self, images: int, kind: Kind = ()) -> None:
        """Release the reservation of a submit that the service never accepted."""
        seen = self._seen(kind)
        seen.at_service = max(0, seen.at_service - images)

    def settle(self, images: int, cost_usd: float | None, kind: Kind = (), *, failed: bool = False) -> None:
        """Replace the reservation of a job that ended or is in doubt by its cost, or its price if no cost is known."""
        self.release(images, kind)
        seen = self._seen(kind)
        if not failed or cost_usd is not None:
            seen.settled += images
            self._tried = True
        if cost_usd is not None:
            self.spent += cost_usd
            self._charged(seen, cost_usd / images)  # later reservations use this price
        elif failed:
            self.feared += images * self._price(seen)
        else:
            self.spent += images * self._price(seen)

    def in_words(self) -> str:
        """The parts of the ceiling that are spent and reserved; they add up."""
        parts = [f"{show_usd(self.spent)} spent"]
        if reserved := self.reserved:
            parts.append(f"{show_usd(reserved)} set aside for what is at the service")
        if self.feared:
            parts.append(f"{show_usd(self.feared)} for failed submits that may have been charged")
        return f"the budget of {show_usd(self.ceiling or 0.0)} is committed: {', '.join(parts)}"
