"""``batcher models``: the service's catalogue, and one model's inputs as keys of a manifest."""

import re
from typing import TYPE_CHECKING, Any

import click

from batcher.commands.options import collect, service_options
from batcher.commands.printing import json_option, say, say_json, table
from batcher.commands.values import complete_model_word
from batcher.core.errors import AccountError, ServiceError, UsageError
from batcher.core.job import utc
from batcher.core.suggest import nearest, printable
from batcher.core.units import show_count

if TYPE_CHECKING:  # start-up time
    from batcher.client.model_list import Catalogue, Model

SHOW = "show"


@click.command(
    epilog="""\b
Examples:
  batcher models                          every model, its task and its price
  batcher models flux edit                those with these words
  batcher models show                     the inputs of Imagen 4 Fast, without the service
  batcher models show ID --manifest       a manifest to copy"""
)
@click.argument("words", nargs=-1, shell_complete=complete_model_word, metavar="[WORDS | show [ID]]")
@service_options
@click.option("--manifest", "as_manifest", is_flag=True, help="With show: print a manifest to copy.")
@click.option("--refresh", is_flag=True, help="Ask the service, even if the kept list is new.")
@json_option
def models(words: tuple[str, ...], as_manifest: bool, refresh: bool, as_json: bool, **given: Any) -> int:
    """List the models of the service, or show one: price, and inputs as keys of a manifest. Costs nothing.

    The list is kept for a day in your cache folder. Imagen 4 Fast is included without the service.
    """
    if words and words[0] == SHOW:
        _show(words[1:], given, as_manifest=as_manifest, refresh=refresh, as_json=as_json)
        return 0
    if as_manifest:
        raise UsageError("--manifest is for `batcher models show ID`")
    catalogue, why = _catalogue(given, refresh=refresh)
    matches = catalogue.find(words)
    if as_json:
        say_json({"at": _date(catalogue), "models": [_facts(model) for model in matches]})
    else:
        say("\n".join([*_listed(matches, len(catalogue.models)), *_footer(catalogue, why)]))
    return 0


def _show(words: tuple[str, ...], given: dict[str, Any], *, as_manifest: bool, refresh: bool, as_json: bool) -> None:
    from batcher.client.model_list import builtin
    from batcher.manifest.schema import DEFAULT_MODEL

    if len(words) > 1:
        raise UsageError("`batcher models show` takes one model id", hint="`batcher models WORDS` finds ids.")
    model_id = words[0] if words else DEFAULT_MODEL
    catalogue, why = _catalogue(given, refresh=refresh)
    model = catalogue.get(model_id) or builtin().get(model_id)
    if model is None:
        near = nearest(model_id, [one.model_id for one in catalogue.models])
        matches = [near] if near else [one.model_id for one in catalogue.find(re.split(r"[\W_]+", model_id))]
        guess = f"Did you mean {matches[0]}? " if matches else ""
        hint = "\n".join(
            [f"{guess}`batcher models WORDS` finds ids by words of their names.", *_footer(catalogue, why)]
        )
        raise UsageError(f"no model {printable(model_id)!r} in the catalogue", hint=hint)
    if as_manifest:
        from batcher.commands.starter import manifest_for

        click.echo(manifest_for(model), nl=False)
    elif as_json:
        say_json({"at": _date(catalogue), **_facts(model, inputs=True)})
    else:
        say("\n".join([*_described(model), *_footer(catalogue, why)]))


def _catalogue(given: dict[str, Any], *, refresh: bool) -> "tuple[Catalogue, str]":
    """The newest list, and why it does not come from the service now; empty if it does."""
    from batcher.client import model_list
    from batcher.client.token import base_url

    kept = None if given["simulate"] else model_list.kept(base_url(given["base_url"]))
    if kept is not None and not refresh and model_list.is_recent(kept):
        return kept, "kept"
    try:
        return _asked(given), ""
    except (AccountError, ServiceError) as error:
        if refresh:
            raise
        return kept or model_list.builtin(), error.message


def _asked(given: dict[str, Any]) -> "Catalogue":
    from batcher.client import model_list
    from batcher.commands import loop
    from batcher.runner.progress import listener
    from batcher.runner.service import open_service

    async def ask() -> "Catalogue":
        async with open_service(collect(given), None, listener("none")) as service:
            return await model_list.read(service.api)

    return loop.run(ask())


def _date(catalogue: "Catalogue") -> str | None:
    return utc(catalogue.at)


def _listed(matches: "list[Model]", of: int) -> list[str]:
    rows = [("model", "task", "price")]
    rows += [(model.model_id, ", ".join(model.tasks), _price(model)) for model in matches]
    return [*(table(rows) if matches else []), f"{len(matches):,} of {show_count(of, 'model')}"]


def _price(model: "Model") -> str:
    """The price for a list; ``show`` has the rest."""
    return model.price_words.partition("; ")[0] or "not given"


def _footer(catalogue: "Catalogue", why: str) -> list[str]:
    if not why:
        return []
    if why == "kept":
        return [f"as of {_date(catalogue)}; --refresh asks the service again"]
    old = "only what comes with batcher" if catalogue.at is None else f"as of {_date(catalogue)}"
    return [f"{old}: {why}"]


def _described(model: "Model") -> list[str]:
    from batcher.commands.starter import inputs_of

    lines = [f"{model.model_id}  {model.name}".rstrip()]
    lines += [part for part in (", ".join(model.tasks), model.description) if part]
    way = "" if model.price is not None else "; give --price USD to know the cost"
    lines.append(f"price: {model.price_words or 'not given by the catalogue'}{way}")
    if model.schema is None:
        return [*lines, "The catalogue gives no inputs for it: a manifest's keys are sent as they are."]
    inputs = inputs_of(model.schema)
    lines += ["inputs, as keys of a manifest:", *table([(one.key, one.words) for one in inputs], "  ")]
    return [*lines, *(f"note: {note}" for note in model.schema.notes)]


def _facts(model: "Model", *, inputs: bool = False) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "model": model.model_id,
        "name": model.name,
        "tasks": list(model.tasks),
        "price_usd": model.price,
        "price": model.price_words or None,
    }
    if inputs:
        from batcher.commands.starter import inputs_of

        facts["description"] = model.description
        facts["inputs"] = None if model.schema is None else [one.as_json() for one in inputs_of(model.schema)]
    return facts
