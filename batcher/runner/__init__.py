"""One run: from a manifest to files on disk and a report.

``session`` composes it, for the command, the Python API and the tests alike. ``intake`` makes rows of the job table,
``work`` and ``drain`` give each open row a task that makes its steps: ``submit``, ``wait``, ``fetch``, over an engine
of ``engines``. ``run_context`` is what every step works with, ``stop`` why it all ends. ``recovery`` settles what an
earlier process left; ``control`` and ``controller`` are what a person asks of a going run; ``watchers`` are told what
happens; ``report`` and ``records`` say at the end what came of it.
"""
