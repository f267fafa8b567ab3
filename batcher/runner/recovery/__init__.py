"""Settles what an earlier process left: unanswered submits, unrecorded request ids, copied state files, images."""
