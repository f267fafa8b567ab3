"""How the simulated service behaves, as one frozen value, from YAML or from keywords.

By default it is quick, without faults and without limits. ``samples/simulator.yaml`` shows all settings.
"""

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from batcher.simulator.faults import Fault
from batcher.simulator.latency import Latency

RetryAfter = Literal["none", "seconds", "date"]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Limit = Annotated[int, msgspec.Meta(ge=1)] | None
Rate = Annotated[float, msgspec.Meta(gt=0)] | None


class ProfileError(ValueError):
    """The profile can't be read; the message names the key and says what is allowed."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the service behaves. Times are in seconds, money in US dollars.

    seed: of all that is drawn: the same profile and calls give the same answers.
    Speed: latency: of a job once it runs. queue: time before that. slots: jobs that run at once (None: all).
    Limits: rate_limit: accepted submits a second; call_rate_limit: calls of any kind a second (None: no limit).
        rate_burst, rate_shape: see ``latency.Gate``. retry_after, call_retry_after: that header of refusals.
    Money: price: of one unit. A job is charged when it starts to run; failed ones only with charge_failed.
        balance: None for no limit. cost_late: the first N reads of a finished result have no cost. costs: the costs in
        results, in the order of the submits and then from the beginning: an amount is charged, anything else is only
        shown, null is left out.
    Account: tokens: that are accepted (None: any).
    Words: queued_word, running_word, success_word: names of states in answers.
    Output: output_shape: of ``output`` in results. image_bytes: files are padded to this size.
    Oddities: fresh_404: the first N reads of an id answer 404. lagging_result: the first N result reads of a finished
        job say that it is running. unfinished_result: HTTP status of the result of an unfinished job, or 400005 for
        HTTP 400 with that error_code (None: 200 with its state). defaults_fill: required inputs that have a default may
        be left out. data_uris: files may be ``data:`` URIs, as the partner nodes send them. submit_status: HTTP status
        of an accepted submit; 202 has a status beside the id. link_lifetime: seconds until links expire. echo: results
        repeat the inputs.
    Faults: faults: what goes wrong, for which share of the calls.
    """

    seed: int = 1
    latency: Latency = Latency()
    queue: Latency = Latency(kind="fixed", median=0.0)
    slots: Limit = None

    rate_limit: Rate = None
    rate_burst: Limit = None
    rate_shape: Literal["bucket", "window"] = "bucket"
    retry_after: RetryAfter = "none"
    call_rate_limit: Rate = None
    call_retry_after: RetryAfter = "none"

    price: Amount = 0.02
    charge_failed: bool = False
    cost_late: Count = 0
    costs: tuple[Any, ...] = ()
    balance: Amount | None = None

    tokens: tuple[str, ...] | None = None

    queued_word: str = "in_queue"
    running_word: str = "in_progress"
    success_word: str = "succeeded"

    output_shape: Literal["image", "images", "both", "string", "list", "empty"] = "image"
    image_bytes: Count | None = None
    echo: bool = False

    fresh_404: Count = 0
    lagging_result: Count = 0
    unfinished_result: Count | None = None
    defaults_fill: bool = False
    data_uris: bool = False
    submit_status: Count = 200
    link_lifetime: Amount | None = None

    faults: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, path: Path | str) -> "Profile":
        """The profile in a YAML file. Raises ProfileError."""
        try:
            settings = yaml.safe_load(Path(path).read_text("utf-8"))
            return cls().merged({} if settings is None else settings)
        except (OSError, UnicodeError) as error:
            raise ProfileError(f"{path}: can't be read: {error}") from error
        except yaml.YAMLError as error:
            raise ProfileError(f"{path}: not YAML: {error}") from error
        except ProfileError as error:
            raise ProfileError(f"{path}: {error}") from error

    def merged(self, settings: Mapping[str, Any]) -> "Profile":
        """The same profile with some settings changed. Raises ProfileError for unknown keys and values that don't fit.

        A latency may be a number of seconds (fixed) or ``LOW-HIGH`` (uniform). A fault may be ``WHERE:KIND`` or
        ``WHERE:KIND:PROBABILITY``.
        """
        try:
            given = {key: _spelt_out(key, value) for key, value in settings.items()}
            parsed = msgspec.convert(given, Profile)
        except AttributeError:
            raise ProfileError(f"expected keys with values, found {settings!r}") from None
        except ValueError as error:
            raise ProfileError(_words(str(error))) from error
        return msgspec.structs.replace(self, **{key: getattr(parsed, key) for key in given})


def _words(error: str) -> str:
    """An error of msgspec with the place in front, and the key that was probably meant."""
    what, _, place = error.partition(" - at `$")
    key = what.partition("unknown field `")[2].rstrip("`")
    keys = [name for kind in (Profile, Latency, Fault) for name in kind.__struct_fields__]
    near = get_close_matches(key, keys, 1, cutoff=0.5) if key else []
    return place[1:].rstrip("`") + ": " * bool(place) + what + (f": did you mean {near[0]!r}?" if near else "")


def _spelt_out(key: str, value: Any) -> Any:
    """A setting with its short forms written out."""
    if key in {"latency", "queue"} and isinstance(value, int | float | str):
        low, dash, high = str(value).partition("-")
        try:
            times = {"low": float(low), "high": float(high)} if dash else {"median": float(low)}
        except ValueError:
            raise ValueError(f"{key}: expected seconds (0.4) or a range of them (20-60), found {value!r}") from None
        return {"kind": "uniform" if dash else "fixed", **times}
    if key == "faults" and isinstance(value, list | tuple):
        return [_fault(one) for one in value]
    return value


def _fault(value: Any) -> Any:
    if isinstance(value, str):
        where, _, rest = value.partition(":")
        kind, _, share = rest.partition(":")
        probability: Any = share or 1.0
        with suppress(ValueError):  # else msgspec says what is wrong with it, and where
            probability = float(probability)
        return {"where": where, "kind": kind, "probability": probability}
    if isinstance(value, Mapping) and isinstance(value.get("kind"), int):
        return {**value, "kind": str(value["kind"])}
    return value
