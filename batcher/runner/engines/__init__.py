"""Who brings the files of finished jobs home: this process (``local``), or workers on a Ray cluster (``dispatch``).

``engine`` is the seam that the drain sees. A worker (``worker``) is told its jobs in groups and answers in groups;
``orders`` keeps the books of who has which job, and ``dispatch`` acts by them. ``cluster`` talks to ``ray_driver``, a
process of its own and the only module that imports Ray.
"""
