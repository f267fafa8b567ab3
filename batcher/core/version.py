"""The version of batcher, for sidecars, reports and the User-Agent."""

__version__ = "0.1.0"
