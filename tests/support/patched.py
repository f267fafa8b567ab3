"""``python -c PROGRAM WORDS``, in a process that starts quickly: ``python -m tests.support.patched PROGRAM WORDS``.

The modules of batcher are imported already, so that a program may replace what is looked up as it is used, and no name
that one module imported from another.
"""

import sys

if __name__ == "__main__":
    exec(sys.argv.pop(1))
