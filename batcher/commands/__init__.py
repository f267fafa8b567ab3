"""The command line: one module for each command, which turns words into a call and its result into an exit code."""
