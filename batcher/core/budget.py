"""The ceiling on money. Pure arithmetic, in dollars; one instance for the life of a run.

The cost of a submit is reserved before it leaves. It is replaced by the cost that the service reports, and given back
when the submit was never taken up. A submit leaves only when two things hold:

- its price fits below the ceiling, beside what is spent and what is reserved;
- what is at the service already stays below the ceiling, should each of those jobs cost its worst.

So at most the cost of the last job goes over the ceiling, whatever that job costs, as long as no other costs more than
its worst. With ``--in-flight 1`` there is no other, and the rule holds for any cost.

The worst cost of a job is a multiple of its price: FIRST while no image of its kind is paid, YOUNG for the first FEW,
then GROWN, or the highest cost over the lowest. The first job of a run leaves alone.

The kind of a job is what its price depends on: the model, and its inputs without texts and seed. The cost of a draft
says nothing about the same model at 4K.
"""

from collections.abc import Hashable, Mapping
from typing import Any

from batcher.core.units import show_usd

FIRST = 100  # times its price, while no job of the kind has a cost
YOUNG = 10  # the same, until FEW images of the kind are paid
FEW = 4
GROWN = 4  # the same from then on, or the highest cost over the lowest, if that is more
LEAST = 0.01  # dollars an image: what is taken for the price of a job that was free so far
EPSILON = 1e-9  # of the ceiling: sums of prices like 0.04 must not miss a round budget by a rounding error
MOST_KINDS = 200  # further ones count as one

_NO_PRICE = frozenset({"seed", "prompt", "negative_prompt", "text", "promptText", "tags", "lyrics"})
_LONGEST = 24  # characters of a text that is a choice

Kind = Hashable


def kind_of(model: str, inputs: Mapping[str, Any]) -> Kind:
    """What the price of a request depends on, as far as its inputs show it."""
    choices = []
    for name, value in inputs.items():
        if name not in _NO_PRICE and isinstance(value, str | int | float):
            text = str(value)
            if len(text) <= _LONGEST and " " not in text:
                choices.append((name, text))
    return model, *sorted(choices)


class _Seen:
    """One kind. at_service, settled: images. priced: a cost is known. lowest, highest: dollars for one image."""

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
        """How many times its price each of those at the service may cost."""
        if not self.settled:
            return FIRST
        if self.settled < FEW:
            return YOUNG
        if not self.priced:
            return GROWN
        return max(GROWN, min(FIRST, self.highest / self.lowest if self.lowest else FIRST))


class Budget:
    """ceiling: dollars over the life of the run directory, None for no limit. price: for one image, None when unknown;
    it rises to the highest that the service really charged for one.

    spent: what earlier processes spent, jobs in doubt included, at ``price`` where no cost is known. feared: the price
    of submits that the service failed without a word on their cost; it may have charged them, so the ceiling counts
    them. tried: whether something was bought at this price before.
    """

    def __init__(
        self,
        ceiling: float | None,
        price: float | None,
        *,
        spent: float,
        feared: float = 0.0,
        tried: bool = True,
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
        """Of one image of a kind: what it cost, and at least the listed price; until that is known, the highest."""
        return max(self._listed or 0.0, seen.highest) if seen.priced else self.price or 0.0

    def hold(self, kind: Kind, images: int) -> None:
        """Of a job that an earlier process left at the service."""
        self._seen(kind).at_service += images

    def learn(self, kind: Kind, images: int, cost_usd: float) -> None:
        """What a job of an earlier process cost."""
        seen = self._seen(kind)
        seen.settled += images
        self._charged(seen, cost_usd / images)

    def _charged(self, seen: _Seen, each: float) -> None:
        seen.add(each)
        self.price = max(self.price or 0.0, each)

    @property
    def reserved(self) -> float:
        """Dollars set aside for what is at the service or on its way there."""
        return sum(seen.at_service * self._price(seen) for seen in self._kinds.values() if seen.at_service)

    @property
    def waits(self) -> bool:
        """Whether a submit that was not allowed may be later: something at the service is still to be settled."""
        return any(seen.at_service for seen in self._kinds.values())

    def reserve(self, images: int, kind: Kind = ()) -> bool:
        """Sets the price of one submit aside; False when the ceiling does not allow it (nothing is set aside then)."""
        seen = self._seen(kind)
        if self.ceiling is not None:
            room = self.ceiling * (1.0 + EPSILON) - self.spent - self.feared
            if self.reserved + images * self._price(seen) > room or (self.waits and self._worst() > room):
                return False
        seen.at_service += images
        return True

    def _worst(self) -> float:
        """Dollars that what is at the service may cost."""
        if not self._tried:
            return float("inf")
        return sum(one.at_service * one.times * max(self._price(one), LEAST) for one in self._kinds.values())

    def release(self, images: int, kind: Kind = ()) -> None:
        """The submit was never taken up."""
        seen = self._seen(kind)
        seen.at_service = max(0, seen.at_service - images)

    def settle(self, images: int, cost_usd: float | None, kind: Kind = (), *, failed: bool = False) -> None:
        """The job is over, or in doubt: what it cost, or the price where the service doesn't say."""
        self.release(images, kind)
        seen = self._seen(kind)
        if not failed or cost_usd is not None:
            seen.settled += images
            self._tried = True
        if cost_usd is not None:
            self.spent += cost_usd
            self._charged(seen, cost_usd / images)  # from now on that much is set aside
        elif failed:
            self.feared += images * self._price(seen)
        else:
            self.spent += images * self._price(seen)

    def in_words(self) -> str:
        """Where the money of the ceiling is, in parts that add up."""
        parts = [f"{show_usd(self.spent)} spent"]
        if reserved := self.reserved:
            parts.append(f"{show_usd(reserved)} set aside for what is at the service")
        if self.feared:
            parts.append(f"{show_usd(self.feared)} for submits that failed there, charge not known")
        return f"the budget of {show_usd(self.ceiling or 0.0)} is committed: {', '.join(parts)}"
