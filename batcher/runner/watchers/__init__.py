"""Those who are told what a run does: log, metrics, messages to a person, a command at the end, limits."""
