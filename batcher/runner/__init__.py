"""A run: from a manifest to files on disk and a report.

What happens, in order:

1. ``session.run`` locks the run directory (``run_dir``), opens the service (``service``) and conducts the run.
2. ``recovery.generation`` checks that the state file is the newest one. ``intake.manifest_jobs`` writes the manifest to
   its job table; ``intake.input_check`` and ``intake.media_inputs`` check and upload the input files of jobs.
3. ``run_dir.begin`` settles what an earlier process left unfinished (``recovery.departures``, ``recovery.rescue``).
4. ``work.drain`` opens the parts that jobs share (``run_context``) and starts a ticker: four times a second it sends
   the progress to the observers and applies ``control.json`` (``controller``).
5. ``drain.Drain`` reads the job table and runs one task for each open job, until all are final or ``stop`` is set.
6. ``session`` writes ``records.jsonl`` (``records``), ``report.json`` (``report``) and the summary (``report_words``).

The way of one job, which ``Drain._work`` repeats until its state is final (the table of states is
``core.lifecycle``; each step ends with a durable write to the state file):

* PENDING, ``submit``: take in files that are already on disk (``images_on_disk``), wait for the rate and the
  budget, record the claim, send the submit, record the request id. Now it is RUNNING.
* RUNNING, ``wait``: poll, at times that ``pacing.polling`` gives, until the service has a result. Now it is READY.
* READY, ``fetch``: let ``engines`` download and check the files and write images and sidecars. Now it is DONE.

Where to change what: rates and polling in ``pacing``; what an unanswered or failed submit means in ``submit``; retries
of polls and downloads in ``core.retry``; why a run ends in ``stop``; what ``batcher tune`` can request in ``control``;
what observers get in ``events``, and the observers in ``watchers``; the words of the progress in ``progress_words``.

The rest belongs to commands that work on a run directory, also beside a run: ``planning``, ``standing`` (``batcher
status``), ``reopening`` (``retry``), ``cancelling``, ``tuning``, ``collecting`` and ``lost_and_found`` (``verify``).
"""
