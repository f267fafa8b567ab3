"""Manifests: a YAML file or a plain prompt file becomes jobs, after everything in it has been checked.

Two passes over files that may not fit into memory. ``open_manifest`` reads syntax (``Draft``); ``Draft.check``
looks at every row and counts (``check.py``); ``Manifest.jobs`` reads again and makes the jobs one by one
(``expansion.py``).
"""

from batcher.manifest.check_cache import Memory
from batcher.manifest.expansion import Manifest, Share
from batcher.manifest.flags import Overrides
from batcher.manifest.loader import Draft, open_manifest
from batcher.manifest.yaml.document import RunOption

__all__ = ["Draft", "Manifest", "Memory", "Overrides", "RunOption", "Share", "open_manifest"]
