"""Names of image files: built from a template, and safe on every system."""

from batcher.core.naming.fields import TemplateError
from batcher.core.naming.names import PART_BYTES, folded, numbered, prompt_id, safe_part, short, with_key
from batcher.core.naming.template import Template

__all__ = [
    "PART_BYTES", "Template", "TemplateError", "folded", "numbered", "prompt_id", "safe_part", "short", "with_key",
]  # fmt: skip
