"""Checking and repairing a run directory: ``batcher verify`` and ``batcher verify --repair``.

Three sources are compared: the state file, the sidecars, and the bytes of the images. The sha256 taken at the download
decides about the bytes, the state file about the sidecars. The way of a check, and the module of each step:

1. ``survey.check``: opens the state file; without one, a temporary one is rebuilt for the check
2. ``survey.compare``: streams the jobs that are done through a pool of threads
3. ``inspection``: reads the images and sidecars of one job, and compares them with the state file
4. ``orphans``: finds the files that are not in the state file
5. ``survey.compare`` again: duplicates, swapped images, ``records.jsonl``

What is wrong is a list of ``findings.Finding``. ``repair`` fixes what can be had free and deletes nothing: what is in
the way goes to ``lost+found``. ``rebuild`` makes a lost state file from the sidecars.
"""
