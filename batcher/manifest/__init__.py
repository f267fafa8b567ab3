"""Manifests: a YAML file or a plain prompt file becomes jobs, each row read once, checked on the way.

``open_manifest`` reads syntax (``loader.py``); ``Loader.jobs`` compares it with the model's schema (``compile.py``),
walks the rows (``walk.py``) and says at the end what is wrong with the whole (``final_checks.py``).
"""

from batcher.manifest.flags import Overrides
from batcher.manifest.loader import Loader, open_manifest
from batcher.manifest.totals import Share, Totals
from batcher.manifest.walk import MOST_JOBS
from batcher.manifest.yaml.document import RunOption

__all__ = [
    "MOST_JOBS",
    "Loader",
    "Overrides",
    "RunOption",
    "Share",
    "Totals",
    "open_manifest",
]
