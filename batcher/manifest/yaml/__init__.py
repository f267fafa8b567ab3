"""YAML manifests: the document with the place of every value, and its sections."""
