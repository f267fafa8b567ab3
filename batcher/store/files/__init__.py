"""Files in a run directory: written whole or not at all, read without ever leaving the folder."""
