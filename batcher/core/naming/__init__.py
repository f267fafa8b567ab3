"""Names for pictures: made safe for every system, and put together from a template."""

from batcher.core.naming.names import PART_BYTES, fold, folded, numbered, prompt_id, safe_part, short, with_key
from batcher.core.naming.template import Template, TemplateError

__all__ = [
    "PART_BYTES",
    "Template",
    "TemplateError",
    "fold",
    "folded",
    "numbered",
    "prompt_id",
    "safe_part",
    "short",
    "with_key",
]
