"""Manifests: a YAML file or a plain prompt file becomes jobs, each row read once, checked on the way.

``open_manifest`` reads syntax (``loader.py``); ``Loader.jobs`` compares it with the model's schema (``plan.py``),
walks the rows (``walk.py``) and says at the end what is wrong with the whole (``final_checks.py``). The folders, from
the bottom up; each imports from those before it, and from ``problems.py`` and ``extras.py``:

- ``schema/``: what the model takes: its inputs, checks of values, inputs that are files.
- ``sweep/``: which combinations a prompt gets: axes, zip, exclude, include, repeat.
- ``readers/``: files with prompts become rows: ``tables/``, ``json/``, texts, other tools' files.
- ``templates/``: prompts with blanks in them: vars, wildcards, dynamic prompts.
- ``yaml/``: YAML manifests: the document with the place of every value, and its sections.
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
