"""The ceiling on money. Pure arithmetic, in dollars; one instance for the life of a run.

What a submit may cost is reserved before it leaves, settled by what the service says it cost, and given back when it
was never taken up; so concurrency can't overshoot the ceiling. Only a price that is too low could: what is at the
service when the first cost is told costs more than was set aside. So while nobody has bought at the price yet, or once
the costs turn out uneven, submits beside others need room for several times the price; without it they go one by one.
Then the ceiling is passed by one job's cost at most.
"""

from batcher.core.units import show_usd

CAUTION = (100, 10, 10, 10)  # times the price that a submit beside others needs, after so many settled jobs
UNEVEN = 4  # and afterwards, where costs differ
SAME = 1.001  # times the lowest cost: costs that differ by less are one price
EPSILON = 1e-9  # of the ceiling: sums of prices like 0.04 must not miss a round budget by a rounding error


class Budget:
    """ceiling: dollars over the life of the run directory, None for no limit. price: for one image, None when unknown;
    it rises to what the service really charges.

    spent: what earlier processes spent, jobs in doubt included, at ``price`` where no cost is known. feared: the price
    of submits that the service failed without a word on their cost; it may have charged them, so the ceiling counts
    them. reserved_images: those of jobs that are at the service already.
    tried: whether something was bought at this price before.
    """

    def __init__(
        self,
        ceiling: float | None,
        price: float | None,
        *,
        spent: float,
        feared: float = 0.0,
        reserved_images: int = 0,
        tried: bool = True,
    ) -> None:
        self.ceiling = ceiling
        self.price = price
        self.spent = spent
        self.feared = feared
        self._images = reserved_images  # counted, not summed: when all is settled, exactly nothing is reserved
        self._settled = len(CAUTION) if tried else 0  # jobs that told something of the price
        self._lowest = self._highest = 0.0  # cost of an image, as far as the service told

    @property
    def reserved(self) -> float:
        """Dollars set aside for what is at the service or on its way there."""
        return self._images * (self.price or 0.0)

    @property
    def waits(self) -> bool:
        """Whether a submit that was not allowed may be later: something at the service is still to be settled."""
        return self._images > 0

    def reserve(self, images: int) -> bool:
        """Sets the price of one submit aside; False when the ceiling does not allow it (nothing is set aside then)."""
        if self.ceiling is not None:
            if self._images and not self._settled and not self.price:
                return False  # a price of 0 that nobody has paid yet may be anything
            set_aside = (self._images + images) * (self.price or 0.0)
            times = self._caution() if self._images else 1
            if self.spent + self.feared + times * set_aside > self.ceiling * (1.0 + EPSILON):
                return False
        self._images += images
        return True

    def _caution(self) -> int:
        if self._settled < len(CAUTION):
            return CAUTION[self._settled]
        return UNEVEN if self._highest > self._lowest * SAME else 1

    def release(self, images: int) -> None:
        """The submit was never taken up."""
        self._images = max(0, self._images - images)

    def settle(self, images: int, cost_usd: float | None, *, failed: bool = False) -> None:
        """The job is over, or in doubt: what it cost, or the price where the service doesn't say."""
        self.release(images)
        self._settled += not failed or cost_usd is not None
        if cost_usd is not None:
            self.spent += cost_usd
            each = cost_usd / images
            self._lowest, self._highest = min(self._lowest or each, each), max(self._highest, each)
            self.price = max(self.price or 0.0, each)  # from now on that much is set aside
        elif failed:
            self.feared += images * (self.price or 0.0)
        else:
            self.spent += images * (self.price or 0.0)

    def in_words(self) -> str:
        """Where the money of the ceiling is, in parts that add up."""
        parts = [f"{show_usd(self.spent)} spent"]
        if self.reserved:
            parts.append(f"{show_usd(self.reserved)} set aside for what is at the service")
        if self.feared:
            parts.append(f"{show_usd(self.feared)} for submits it failed without saying what they cost")
        return f"the budget of {show_usd(self.ceiling or 0.0)} is committed: {', '.join(parts)}"
