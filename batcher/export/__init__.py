"""Exports a run for other programs: datasets, tar shards, tables, captions, the layouts that benchmarks score.

``request`` checks the options, and ``exporting`` runs the export: ``marker_file`` inspects the target folder,
``selection`` reads the selected images twice, and a target (``imagefolder``, ``webdataset``, ``parquet``, ``captions``,
``layout``, ``pairs``) first checks all of them and fixes names and ``columns``, then writes them to the ``folder``.
``target`` and ``shards`` hold what the targets share, ``benchmarks`` the layouts with a name. ``upload`` sends the
folder to a bucket; ``manifest_file`` writes a prompt file instead.

``matching`` walks over the images and jobs that ``--where`` matches, for exports and for three other commands:
``picking`` and ``scores`` serve ``batcher pick``, ``more`` serves ``batcher more``, ``sheets`` serves ``batcher grid``.

Many readers break their own rules without an error: a file name with ``test`` in it drops the metadata, a seed above
2^63 rounds all seeds, a ``.json`` beside an image makes it a text dataset. Each module states the rules of its reader;
the tests open every kind of export with the reader itself.
"""

TARGETS = ("imagefolder", "webdataset", "parquet", "captions", "layout", "pairs", "manifest")
"""The names of ``--to``. They are here, where nothing is imported, so that the command line starts quickly."""
