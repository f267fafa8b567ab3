"""What the service says of a model: its input schema and its price, or what is known of them without it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from batcher.client.api import Api
from batcher.core.errors import ManifestError, NotFound, NotSent, Problem, Refused, Rejected, ServiceError, Unclear
from batcher.core.one_line import one_line
from batcher.core.retry import RetryAfter, RetryPolicy, decide
from batcher.core.units import MOST_USD
from batcher.manifest.schema import ModelSchema, bundled

PATIENCE = RetryPolicy(attempts=6, wait_initial=0.5, wait_max=8.0, jitter=0.0)  # about 15 seconds in all
ONCE = RetryPolicy(attempts=1, wait_initial=1.0, wait_max=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """schema: None when nobody knows it, then inputs go unchecked. price: dollars an image, None when unknown.

    fresh: False when the price is what an earlier run knew.
    """

    schema: ModelSchema | None
    price: float | None
    fresh: bool = True
    warnings: tuple[str, ...] = ()


async def ask(api: Api, model: str, told_price: float | None, *, patient: bool = True) -> Offer:
    """Reads the catalog, free. Raises ManifestError for a model the service does not know, AccountError,
    ServiceError when it can't be reached.
    """
    try:
        entry = await _read(api, model, PATIENCE if patient else ONCE)
    except (Rejected, NotFound) as problem:
        no_id = problem.cause.kind == "bad_model_id"  # said by our own client: nothing was asked
        if bundled(model) is None and (no_id or problem.cause.code is not None):
            mend = "check `model:` or --model; the id is `vendor/name/.../task`, not the address of its web page"
            what = f"the service does not know the model {one_line(model, 200)!r} ({problem.cause.message})"
            raise ManifestError([Problem("model", 0, 0, what, mend)]) from None
        return offline(model, told_price, "the service's catalogue does not list it")
    price = _price(entry)
    schema = entry.get("input_schema")
    if not isinstance(schema, dict):
        known = offline(model, told_price, "the catalogue gives no input schema for it")
        return Offer(schema=known.schema, price=price if price is not None else told_price, warnings=known.warnings)
    try:
        checked = ModelSchema.from_json(model, schema)
    except ValueError as error:
        known = offline(model, told_price, f"its schema in the catalogue can't be used: {one_line(str(error), 200)}")
        return Offer(schema=known.schema, price=price if price is not None else told_price, warnings=known.warnings)
    return Offer(schema=checked, price=told_price if price is None else price)


def offline(model: str, told_price: float | None, why: str) -> Offer:
    """What is known without the service: the schema that comes with batcher, if it is one of those."""
    schema = bundled(model)
    unchecked = (
        (f"inputs of {one_line(model, 200)} are not checked before they are sent: {why}",) if schema is None else ()
    )
    return Offer(schema=schema, price=told_price, warnings=unchecked)


async def _read(api: Api, model: str, policy: RetryPolicy) -> dict[str, Any]:
    failures = 0
    while True:
        try:
            return await api.model(model)
        except (NotSent, Unclear, Refused) as problem:
            failures += 1
            again = decide(policy, failures, 0.0, asked=problem.retry_after)
            if not isinstance(again, RetryAfter):
                raise ServiceError(
                    f"the service at {api.base_url} does not answer: {problem.cause.message}",
                    hint="Nothing was submitted. Check the network and --base-url, then run the same command again.\n"
                    "To try batcher without the service, add --simulate.",
                ) from None
            await asyncio.sleep(again.delay)


def _price(entry: dict[str, Any]) -> float | None:
    """Dollars for one output, only where the catalogue says so in a form that can be trusted (a true is no price)."""
    price, unit = entry.get("base_price_usd"), entry.get("price_unit")
    if isinstance(price, bool) or not isinstance(price, (int, float)) or unit not in ("output", "image"):
        return None
    return float(price) if 0 <= price <= MOST_USD else None  # an integer may be too long for a float
