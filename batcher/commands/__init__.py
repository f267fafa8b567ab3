"""One module a command: what a person typed becomes a call, and what came of it an exit code."""
