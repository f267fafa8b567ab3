"""The page: shows a run, takes verdicts, asks for more seeds. A process of its own that only reads the state file.

``serve`` listens and starts the ``server``, which answers requests that ``safety`` accepts. ``runs`` opens each run as
a ``live`` one: a ``run_reader`` (``joined_reader`` for several runs as one) reads it, ``columns`` packs its rows for
the page, ``words`` puts its numbers into sentences, ``judge`` finds its flags, ``records`` updates ``records.jsonl``.
``changes`` does what a user asks for, ``details`` and ``filtering`` answer questions, ``thumbs`` makes thumbnails.
``static`` writes the page as files that need no server.
"""
