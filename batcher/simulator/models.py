"""The models that the simulator hosts, with their schemas as published.

They were chosen because they may break a client: prompts under other names or none, lists of files, several images,
video and audio, an input that is required and does not exist.
"""

from dataclasses import dataclass
from typing import Any

IMAGEN = "google-deepmind/imagen-4/fast/text-to-image"

_SAMPLE = (
    "Street food vendor at dusk, steam rising from a wok and backlit by warm lamps, wet cobblestones, "
    "candid documentary photo, 35mm"
)


def _schema(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "title": "Input", "required": required, "properties": properties}


_IMAGEN_SCHEMA = _schema(
    ["prompt"],
    prompt={"title": "Prompt", "description": "", "type": "string", "default": _SAMPLE},
    negative_prompt={"title": "Negative Prompt", "description": "", "type": "string", "default": ""},
    aspect_ratio={
        "title": "Aspect Ratio (W:H)", "description": "", "type": "string",
        "enum": ["16:9", "4:3", "1:1", "3:4", "9:16"], "default": "16:9",
    },
    seed={"title": "Seed", "description": "", "type": "integer", "default": 37644189},
)  # fmt: skip

_BANANA_RATIOS = ["auto", "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16"]

_BANANA_SCHEMA = _schema(
    ["prompt"],
    prompt={"title": "Prompt", "type": "string", "default": "A banana on a drawing table, soft light"},
    num_images={"title": "Number of Images", "type": "integer", "minimum": 1, "maximum": 4, "default": 1},
    seed={"title": "Seed", "type": "integer", "default": 0},
    aspect_ratio={"title": "Aspect Ratio", "type": "string", "enum": _BANANA_RATIOS, "default": "auto"},
    resolution={"title": "Resolution", "type": "string", "enum": ["0.5K", "1K", "2K", "4K"], "default": "1K"},
    output_format={"title": "Output Format", "type": "string", "enum": ["png", "jpeg", "webp"], "default": "png"},
    safety_tolerance={"title": "Safety", "type": "integer", "minimum": 1, "maximum": 6, "default": 4},
    limit_generations={"title": "Limit Generations", "type": "boolean", "default": True},
    enable_web_search={"title": "Web Search", "type": "boolean", "default": False},
)

_SIZES = ["2048x2048 (1:1)", "2560x1440 (16:9)"]
_SEEDREAM_RATIOS = ["1:1", "4:3", "3:4", "16:9", "9:16", "21:9"]

_URL = {"type": "string", "format": "image_uri"}
_URLS = {"type": "array", "items": _URL, "format": "image_uris", "minItems": 1, "maxItems": 10}


_SEEDREAM_SCHEMA = _schema(
    ["prompt", "image", "aspect_ratio"],  # with a default and required all the same, as some are
    prompt={"title": "Prompt", "type": "string", "default": "Make it snow"},
    image={
        "title": "Images", **_URLS, "validations": [
            {"validation_rule": "max_file_size_mb", "validation_value": 30,
             "validation_error": "Each image must be smaller than 30 MB"},
            {"validation_rule": "min_side_px", "validation_value": 14,
             "validation_error": "Each side must be longer than 14 pixels"},
        ],
    },
    aspect_ratio={"title": "Aspect Ratio", "type": "string", "enum": _SEEDREAM_RATIOS, "default": "1:1"},
    resolution={"title": "Resolution", "type": "string", "enum": ["1K", "2K"], "default": "1K"},
    output_format={"title": "Output Format", "type": "string", "enum": ["png", "jpeg"], "default": "png"},
    strength={"title": "Strength", "type": "float", "minimum": 0, "maximum": 1, "default": 0.8},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hosted:
    """A model of the catalogue.

    model_id: ``vendor/name/.../task``. name, description: for people. category: its task. schema: JSON Schema of its
    inputs. form: of its files if they are no images: ``mp4`` or ``wav``. unit: what its price is for.
    """

    model_id: str
    name: str
    category: str
    schema: dict[str, Any]
    form: str = ""
    unit: str = "output"
    description: str = ""


HOSTED = (
    Hosted(IMAGEN, "Imagen 4 Fast", "text-to-image", _IMAGEN_SCHEMA),
    Hosted("google/nano-banana-2/text-to-image", "Nano Banana 2", "text-to-image", _BANANA_SCHEMA),
    Hosted("bytedance/seedream-5.0-pro/image-to-image", "Seedream 5.0 Pro", "image-to-image", _SEEDREAM_SCHEMA),
    Hosted(
        "google/nano-banana-2/edit", "Nano Banana 2 Edit", "image-to-image",
        _schema(
            ["prompt", "image_urls"],
            prompt={"type": "string", "default": "Make it night"},
            image_urls=_URLS,
            number_of_images={"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
        ),
        unit="image",
        description="The number of images has a name of its own.",
    ),
    Hosted(
        "bytedance/seedream-4-0/sequential", "Seedream 4.0 Sequential", "text-to-image",
        _schema(
            ["text"],
            text={"type": "string", "default": "Generate 3 images of a lighthouse"},
            max_images={"type": "integer", "minimum": 1, "maximum": 15, "default": 4},
            seed={"type": "integer", "default": None},
        ),
        description="The prompt is called text; four images unless it is told otherwise.",
    ),
    Hosted(
        "bytedance/seedream-4-5/edit", "Seedream 4.5 Edit", "image-to-image",
        _schema(
            ["prompt", "image_urls"],
            prompt={"type": "string"},
            images=_URLS,
            resolution={"type": "string", "enum": _SIZES, "default": _SIZES[0]},
        ),
        description="It asks for an input that it does not have.",
    ),
    Hosted(
        "runwayml/runway-gen-4-turbo/image-to-video", "Runway Gen-4 Turbo", "image-to-video",
        _schema(
            ["promptImage"],
            promptImage=_URL,
            promptText={"type": "string", "maxLength": 1000},
            duration={"type": "integer", "enum": [5, 10], "default": 5},
        ),
        form="mp4", unit="second",
        description="A video from an image; the prompt may be left out.",
    ),
    Hosted(
        "ace-step/ace-step-1.5/text-to-audio", "ACE-Step 1.5", "text-to-audio",
        _schema(
            ["tags"],
            tags={"type": "string"},
            lyrics={"type": "string", "default": ""},
            duration={"type": "float", "minimum": 5, "maximum": 240, "default": 60},
            seed={"type": "integer", "minimum": -1, "maximum": 2147483647, "default": -1},
        ),
        form="wav", unit="second",
        description="Music; what stands for the prompt is called tags.",
    ),
    Hosted(
        "clarity/upscaler/image-to-image", "Clarity Upscaler", "upscale",
        _schema(["image_url"], image_url=_URL, scale={"type": "integer", "minimum": 2, "maximum": 4, "default": 2}),
        description="It takes no prompt at all.",
    ),
    Hosted(
        "community/wan-2-1/fusionx/image-to-video", "Wan 2.1 FusionX", "image-to-video",
        {**_schema(["600_prompt", "608_image"]), "properties": {
            "600_prompt": {"type": "string"}, "608_image": _URL,
        }},
        form="mp4",
        description="A workflow whose inputs have the numbers of its nodes.",
    ),
)  # fmt: skip
