"""The page: shows a run, takes verdicts, asks for more. A process of its own that only reads the state file."""
