"""Manifests: a YAML file or a plain prompt file becomes jobs. Each row is read once and checked on the way.

The way of a row, in order:

1. ``loader.open_manifest`` opens the file, and parses it if it is YAML (``yaml/document.py``). Now the model is known,
   and the caller fetches its schema.
2. ``Loader.jobs`` has the sections and the flags compared with that schema (``plan.Compiler``): a ``Plan`` of groups,
   each with a sweep, entries of prompts and a way to name images.
3. ``walk.Walk.jobs`` takes the entries one after the other. A reader gives each prompt as a ``Row``: its inputs, id and
   meta, and where it stands (``readers/``; for prompts within YAML ``yaml/entries.py``).
4. ``templates.variables.renderings`` fills in templates, vars and copies. Each result is one prompt.
5. ``row_check.RowCheck`` checks its inputs. After the first problem no more jobs are made, and reading goes on to
   list all problems.
6. The ``Sweep`` gives the prompt its combinations. For each, ``ModelInputs.request`` has the inputs as they are sent,
   and ``Walk`` adds key, copy number and path (``paths.py``): a ``Job``.
7. ``final_checks`` looks at the whole; ``Problems.raise_if_any`` raises, or ``Loader.totals`` has the numbers.

The folders, from the bottom up; each imports from those before it, and from ``problems.py`` and ``extras.py``:

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
