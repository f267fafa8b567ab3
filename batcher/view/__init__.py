"""The page: shows a run, takes verdicts, adds more seeds. It is a process of its own, which reads the state file.

``serve`` listens and starts the ``server``, which answers requests that ``safety`` accepts. ``runs`` opens runs, and
``live`` follows each of them: a ``run_reader`` (``joined_reader`` for several runs as one) reads it, ``columns`` packs
its rows for the page, ``words`` puts its numbers into sentences, ``judge`` finds its flags, and ``records`` updates
``records.jsonl``. ``changes`` carries out what the user clicks, ``details`` shows one job, ``filtering`` evaluates
``--where``, ``thumbs`` makes thumbnails. ``static`` writes the page as files that need no server.
"""
