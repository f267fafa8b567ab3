"""The version of batcher: in sidecars, reports, and what it calls itself at the service."""

__version__ = "0.1.0"
