"""What watches a run: log, metrics, messages to a person, a command at the end, limits."""
