"""The Python API behind ``import batcher``: what the commands do, as functions, values and exceptions."""
