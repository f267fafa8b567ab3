"""batcher: a batch job runner for prompt files.

A manifest (YAML, CSV, TSV, JSONL, JSON, text) becomes images on disk, each with a metadata sidecar, through
RunComfy's Model API. Three files carry the architecture and read in ten minutes:

* ``job.py``: the nouns a row of a prompt file passes through,
* ``lifecycle.py``: what may happen to a job, as a table,
* ``runner.py``: what does happen, one coroutine a job.
"""

from batcher.core.version import __version__

__all__ = ["__version__"]
