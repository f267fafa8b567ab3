"""Nouns and decisions: jobs, their lifecycle, money, retries, limits. Pure: time and chance are arguments."""
