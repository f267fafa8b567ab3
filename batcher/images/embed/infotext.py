r"""The infotext: prompt, negative prompt and settings as one text, the way AUTOMATIC1111's web UI writes it.

    A heron over a lake,
    at dawn
    Negative prompt: text, watermark
    Steps: 0, Sampler: unknown, Seed: 7, Size: 1024x768, Model: vendor/name, Aspect ratio: 4/3

There is no specification, only programs that read it, and they differ. All of these read what is written here:
AUTOMATIC1111's ``infotext_utils.py``, sd-parsers 0.6, sd-prompt-reader 1.3.5.

- The settings are the last line. ``Steps`` comes first, or sd-prompt-reader takes the line for a part of the prompt.
  sd-parsers needs ``Sampler`` and three of its words in all. An unknown value is ``0`` or ``unknown``.
- No quoting is understood by all readers, so a value has no comma, colon or line break.
- Readers split a prompt at ``Negative prompt:`` and at a line that begins with ``Steps:``, and one of them crashes. So
  a space goes before that colon.
- sd-prompt-reader takes a text that begins with ``{`` for JSON. So an empty line goes above it.

A reader therefore gives ``as_read(prompt)``, not the prompt itself, which is in the sidecar.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DIVIDERS = [
    (re.compile(r"(Negative prompt):"), r"\1 :"),
    (re.compile(r"(?<=\n)(Steps):"), r"\1 :"),
    (re.compile(r"sui_image_params"), "sui-image-params"),  # sd-prompt-reader takes a text with it for SwarmUI's JSON
]
_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")
_RATIO = re.compile(r"(?<=\d):(?=\d)")
_KEY = re.compile(r"[^\w \-/]+")
_LONGEST_VALUE = 200

# Names of inputs, by what the infotext calls them.
_STEPS = ("steps", "num_inference_steps")
_SAMPLER = ("sampler", "sampler_name")
_CFG = ("cfg_scale", "guidance_scale", "cfg", "guidance")
_PROMPTS = ("prompt", "negative_prompt")
_TAKEN = frozenset({*_PROMPTS, *_STEPS, *_SAMPLER, *_CFG, "seed"})
_RESERVED = frozenset({"size", "model", "model hash", "hashes", "version", "job", "steps", "sampler", "schedule type"})


@dataclass(frozen=True, slots=True)
class Infotext:
    """The three parts, as a reader gives them.

    prompt, negative: texts, "" for none. settings: texts by name, in the order in which they are written.
    """

    prompt: str
    negative: str
    settings: Mapping[str, str]

    def text(self) -> str:
        negative = f"\nNegative prompt: {self.negative}" if self.negative else ""
        settings = ", ".join(f"{name}: {value}" for name, value in self.settings.items())
        shield = "\n" if self.prompt.startswith("{") else ""
        return f"{shield}{self.prompt}{negative}\n{settings}"


def as_read(prompt: str) -> str:
    """A prompt as readers give it."""
    text = _UNREADABLE.sub("\ufffd", prompt.replace("\r\n", "\n").replace("\r", "\n")).strip()
    for divider, harmless in _DIVIDERS:
        text = divider.sub(harmless, text)
    return text


def of(record: Mapping[str, Any]) -> Infotext:
    """The infotext of an image. record: its sidecar."""
    inputs = record.get("inputs")
    inputs = inputs if isinstance(inputs, Mapping) else {}
    prompt, negative = (as_read(value) if isinstance(value := inputs.get(name), str) else "" for name in _PROMPTS)
    return Infotext(prompt, negative, dict(_settings(inputs, record)))


def _settings(inputs: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    settings = {"Steps": _first(inputs, _STEPS) or "0", "Sampler": _first(inputs, _SAMPLER) or "unknown"}
    scale, seed = _first(inputs, _CFG), _value(inputs.get("seed"))
    if scale:
        settings["CFG scale"] = scale
    if seed:
        settings["Seed"] = seed
    if not (scale or seed):
        settings["Schedule type"] = "unknown"  # sd-parsers needs three of its words
    width, height = record.get("width"), record.get("height")
    if isinstance(width, int) and isinstance(height, int):
        settings["Size"] = f"{width}x{height}"
    if model := _value(record.get("model")):
        settings["Model"] = model
    for name, given in inputs.items():
        key, value = _label(name), _value(given)
        is_prompt = given == inputs.get("prompt")  # under the model's own name for it
        if value and not is_prompt and name not in _TAKEN and key.lower() not in _RESERVED and len(key) > 1:
            settings.setdefault(key, value)
    if version := _value(record.get("batcher")):
        settings["Version"] = f"batcher {version}"
    if job := _value(record.get("job")):
        settings["Job"] = job
    return settings


def _first(inputs: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next(filter(None, (_value(inputs.get(name)) for name in names)), "")


def _label(name: str) -> str:
    words = " ".join(_KEY.sub(" ", name).replace("_", " ").split())
    return words[:1].upper() + words[1:]


def _value(given: Any) -> str:
    """The text of a value in the settings line; empty if it can't be there."""
    if isinstance(given, bool):
        return str(given).lower()
    if not isinstance(given, str | int | float):
        return ""
    text = _UNREADABLE.sub("\ufffd", _RATIO.sub("/", str(given)))
    text = " ".join(text.replace(",", ";").replace(":", "-").split())
    return text if len(text) <= _LONGEST_VALUE else ""
