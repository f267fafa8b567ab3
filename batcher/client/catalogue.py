"""The input schema and the price of a model: from the service's catalogue, else from what comes with batcher."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batcher.client.api import Api
from batcher.core.errors import (
    Cause,
    ManifestError,
    NotFound,
    NotSent,
    Problem,
    Refused,
    Rejected,
    ServiceError,
    Unclear,
)
from batcher.core.one_line import one_line
from batcher.core.retry import RetryPolicy, decide
from batcher.core.units import MOST_USD, show_usd
from batcher.manifest.schema import ModelSchema, bundled

PATIENCE = RetryPolicy(attempts=6, wait_initial=0.5, wait_max=8.0, jitter=0.0)  # about 15 seconds in all
NO_CATALOGUE = frozenset({301, 302, 303, 307, 308, 501})
MOST_BROKEN = 3  # unusable answers before the run goes on without the catalogue
ONCE = RetryPolicy(attempts=1, wait_initial=1.0, wait_max=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is known about a model.

    schema: of its inputs; None if unknown, then inputs are not checked.
    price: dollars per image, None if unknown.
    fresh: False if the price is from an earlier run.
    warnings: one line each.
    absent: the message of a 404, if the service has no catalogue or does not list the model; else None.
    """

    schema: ModelSchema | None
    price: float | None
    fresh: bool = True
    warnings: tuple[str, ...] = ()
    absent: str | None = None


async def ask(
    api: Api, model: str, given_price: float | None, *, patient: bool = True, unchecked: Collection[str] = ()
) -> Offer:
    """Ask the catalogue for a model, free.

    given_price: dollars per image by ``--price``. patient: whether failed calls are repeated. unchecked: names of
    inputs that are not checked.

    Raises ManifestError if the service does not know the model, AccountError, ServiceError if it does not answer. An
    unusable catalogue gives an Offer without its schema, and a warning.
    """
    try:
        entry = await _read(api, model, PATIENCE if patient else ONCE)
    except (Rejected, NotFound) as problem:
        no_id = problem.cause.kind == "bad_model_id"  # by our own client, which sent nothing
        if bundled(model) is None and (no_id or problem.cause.code is not None):
            raise _unknown(model, problem.cause) from None
        offer = offline(model, given_price, "the service's catalogue does not list it", unchecked=unchecked)
        return replace(offer, absent=problem.cause.message if problem.cause.http_status == 404 else None)
    except (NotSent, Unclear, Refused) as problem:
        return offline(model, given_price, f"the catalogue is broken ({problem.cause.message})", unchecked=unchecked)
    listed, note = price_of(entry)
    price, words = _price(listed, note, given_price)
    offer = _offer(model, entry, price, unchecked)
    return replace(offer, warnings=(*words, *offer.warnings))


def _unknown(model: str, cause: Cause) -> ManifestError:
    what = f"the service does not know the model {one_line(model, 200)!r} ({cause.message})"
    mend = (
        "check `model:` or --model; the id is `vendor/name/.../task`, not the address of its web page:"
        " `batcher models WORDS` finds it"
    )
    return ManifestError([Problem("model", 0, 0, what, mend)])


def _offer(model: str, entry: Mapping[str, Any], price: float | None, unchecked: Collection[str]) -> Offer:
    """The Offer with the schema of an entry, else without the catalogue."""
    schema, why = entry.get("input_schema"), "the catalogue gives no input schema for it"
    if isinstance(schema, dict):
        try:
            checked = ModelSchema.from_json(model, {"required": entry.get("required_inputs"), **schema})
            notes = tuple(f"{one_line(model, 200)}: {note}" for note in checked.notes)
            return Offer(schema=checked.unchecked(unchecked), price=price, warnings=notes)
        except ValueError as error:
            why = f"its schema in the catalogue can't be used: {one_line(str(error), 200)}"
    return offline(model, price, why, unchecked=unchecked)


def offline(model: str, given_price: float | None, why: str, *, unchecked: Collection[str] = ()) -> Offer:
    """The Offer without the catalogue: the schema that comes with batcher, if there is one. why: for the warning."""
    schema = bundled(model)
    warnings = (
        (f"inputs of {one_line(model, 200)} are not checked before they are sent: {why}",) if schema is None else ()
    )
    return Offer(schema=None if schema is None else schema.unchecked(unchecked), price=given_price, warnings=warnings)


async def _read(api: Api, model: str, policy: RetryPolicy) -> dict[str, Any]:
    """The catalogue's entry of a model. Raises as ``Api.poll``, ServiceError when the policy gives up."""
    failures = broken = 0
    while True:
        try:
            return await api.model(model)
        except (NotSent, Unclear, Refused) as problem:
            failures += 1
            broken += isinstance(problem, Unclear) and _is_no_catalogue(problem.cause)
            if broken >= MOST_BROKEN:
                raise
            wait = decide(policy, failures, 0.0, asked=problem.retry_after)
            if wait is None:
                raise ServiceError(
                    f"the service at {api.base_url} does not answer: {problem.cause.message}",
                    hint="Nothing was submitted. Check the network and --base-url, then run the same command again.\n"
                    "To try batcher without the service, add --simulate.",
                ) from None
            await asyncio.sleep(wait)


def _is_no_catalogue(cause: Cause) -> bool:
    """Whether the service answers but has no usable catalogue, so that repeating the call does not help."""
    return cause.kind == "unreadable" or cause.http_status in NO_CATALOGUE


def price_of(entry: Mapping[str, Any]) -> tuple[float | None, str]:
    """Dollars per image and "". For a price of another unit None and that price in words; else None and ""."""
    price, unit = entry.get("base_price_usd"), entry.get("price_unit")
    if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price <= MOST_USD:
        return None, ""
    if isinstance(unit, str) and unit.strip().lower() in {"output", "image"}:
        return float(price), ""
    per = one_line(unit, 40) if isinstance(unit, str) and unit.strip() else "request"
    return None, f"{show_usd(float(price))} per {per}"


def _price(listed: float | None, note: str, given: float | None) -> tuple[float | None, tuple[str, ...]]:
    """The price that counts, the higher one, and warnings. listed, note: of ``price_of``. given: by ``--price``."""
    if listed is None:
        says = f"the catalogue's price is {note}, not per image: give --price USD to know the cost"
        return given, (says,) if note and given is None else ()
    if given is None or given == listed:
        return listed, ()
    higher = "--price is used" if given > listed else "the catalogue's is used, as it is higher"
    return max(given, listed), (f"--price says {show_usd(given)}, the catalogue {show_usd(listed)}: {higher}",)
