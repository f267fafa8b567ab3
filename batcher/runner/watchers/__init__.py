"""Observers of a run: log, metrics, messages to people, the command at the end."""
