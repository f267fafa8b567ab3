"""From a manifest to rows of the job table, with the files that it names, before anything is submitted."""
