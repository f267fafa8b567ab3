"""JSON, JSONL, and records of a run as prompt files."""
