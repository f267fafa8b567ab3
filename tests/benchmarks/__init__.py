"""What batcher costs, beside what the same work costs otherwise in the same run: `python -m tests.benchmarks`.

Machines are shared and noisy, so claims are ratios, and nothing here is timed in CI.
"""
