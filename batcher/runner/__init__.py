"""A run: from a manifest to files on disk and a report.

``session`` composes it, for the command, the Python API and the tests alike. ``intake`` writes the manifest to the job
table. ``work`` and ``drain`` run one task per open job, with the steps ``submit``, ``wait`` and ``fetch``; ``engines``
has the workers that fetch. ``run_context`` holds what all steps share, ``stop`` the reason why a run ends. ``recovery``
settles what an earlier process left. ``control`` and ``controller`` apply requests of a person to a run in progress.
``watchers`` receive its events. ``report`` and ``records`` write its results.
"""
