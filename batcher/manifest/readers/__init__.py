"""Files as people have them, one reader a format: tables, JSON, text, other tools' prompt files."""
