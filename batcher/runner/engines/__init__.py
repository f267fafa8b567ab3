"""Download the files of finished jobs: in this process, or by workers on a Ray cluster (``--engine ray``).

``engine`` has the interface that the drain uses, and the engine of one process; ``opening`` opens the engine of a run.
``dispatch`` is the engine with workers: it sends them orders in groups (``messages``) and hears their outcomes.
``orders`` records which worker has which order. ``meeting`` checks a new worker, and ``worker`` is what it runs.
``cluster`` talks to ``ray_driver``, a child process, which is the only module that imports Ray.
"""
