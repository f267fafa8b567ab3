"""A simulated RunComfy Model API over real HTTP on loopback, for rehearsals and tests. It costs nothing.

It imports nothing from the rest of batcher, so that two readings of the protocol check each other.

    async with serve(Simulator(Profile(latency=Latency(kind="fixed", median=2.0)))) as address:
        ...  # a client of address.base_url, with any token

The way of a request, and the module of each step:

1. ``app``: reads method and path, counts the call; ``service`` checks the token and the limits (``latency.Gate``)
2. ``faults``: draws what goes wrong with the call, if anything (``chance``), by the rules of the ``profile``
3. ``service``: accepts a submit: ``catalog`` and ``models`` check the inputs, ``journal`` records it, ``jobs`` queues
it
4. ``views``: the answers to submit, status, result and cancel; ``answers``: the errors
5. ``wire``: sends the answer, whole or broken
6. ``filehost``: the files, by the links of ``links``; ``images`` and ``media`` make them

``process`` serves until a signal: ``batcher simulate`` and ``python -m batcher.simulator`` are thin over it.
"""

from batcher.simulator.app import Address, serve
from batcher.simulator.faults import Fault
from batcher.simulator.filehost import file_bytes
from batcher.simulator.latency import Latency
from batcher.simulator.profile import Profile, ProfileError
from batcher.simulator.service import Simulator

__all__ = ["Address", "Fault", "Latency", "Profile", "ProfileError", "Simulator", "file_bytes", "serve"]
