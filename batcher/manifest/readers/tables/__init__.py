"""Tables as prompt files: CSV and TSV (text), Parquet and spreadsheets (cells)."""
