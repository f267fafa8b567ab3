"""Files as people have them, one reader a format: CSV, TSV, JSON, JSONL, Parquet, text, other tools' prompt files."""
