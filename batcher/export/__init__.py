"""A run as other programs read it: datasets, tar shards, tables, captions, the layouts that benchmarks score.

Every reader has rules of its own, and breaks them silently: a file name with ``test`` in it drops the metadata, a seed
above 2^63 rounds all seeds, a ``.json`` beside a picture makes it a text dataset. Each module here states its reader's
rules, all were found by running the reader, and the tests open every kind of export with it.
"""

from batcher.export.exporting import export, export_to
from batcher.export.request import TARGETS, Options, ordered

__all__ = ["TARGETS", "Options", "export", "export_to", "ordered"]
