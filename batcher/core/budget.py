"""The ceiling on money. Pure arithmetic, in dollars; one instance for the life of a run.

What a submit may cost is reserved before it leaves, settled by what the service says it cost, and given back when it
was never taken up; so concurrency can't overshoot the ceiling. Only a price that was told too low can: then what is at
the service at that moment costs more than was set aside, and from there on the real price counts.
"""

from batcher.core.units import show_usd

EPSILON = 1e-9  # of the ceiling: sums of prices like 0.04 must not miss a round budget by a rounding error


class Budget:
    """ceiling: dollars over the life of the run directory, None for no limit. price: for one image, None when unknown;
    it rises to what the service really charges.

    spent: what earlier processes spent, jobs in doubt included, at ``price`` where no cost is known. feared: the price
    of submits that the service failed without a word on their cost; it may have charged them, so the ceiling counts
    them. reserved_images: those of jobs that are at the service already.
    """

    def __init__(
        self,
        ceiling: float | None,
        price: float | None,
        *,
        spent: float,
        feared: float = 0.0,
        reserved_images: int = 0,
    ) -> None:
        self.ceiling = ceiling
        self.price = price
        self.spent = spent
        self.feared = feared
        self._images = reserved_images  # counted, not summed: when all is settled, exactly nothing is reserved

    @property
    def reserved(self) -> float:
        """Dollars set aside for what is at the service or on its way there."""
        return self._images * (self.price or 0.0)

    def reserve(self, images: int) -> bool:
        """Sets the price of one submit aside; False when the ceiling does not allow it (nothing is set aside then)."""
        committed = self.spent + self.feared + (self._images + images) * (self.price or 0.0)
        if self.ceiling is not None and committed > self.ceiling * (1.0 + EPSILON):
            return False
        self._images += images
        return True

    def release(self, images: int) -> None:
        """The submit was never taken up."""
        self._images = max(0, self._images - images)

    def settle(self, images: int, cost_usd: float | None, *, failed: bool = False) -> None:
        """The job is over, or in doubt: what it cost, or the price where the service doesn't say."""
        self.release(images)
        if cost_usd is not None:
            self.spent += cost_usd
            self.price = max(self.price or 0.0, cost_usd / images)  # from now on that much is set aside
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
