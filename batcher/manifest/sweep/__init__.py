"""Which combinations each prompt gets: matrix, zip, exclude, include, repeat."""
