"""A RunComfy Model API over real HTTP on loopback, for trying things out and for tests. It costs nothing.

It shares no code with the rest of batcher, so that two readings of the protocol check each other.

    async with serve(Simulator(Profile(latency=Latency(kind="fixed", median=2.0)))) as address:
        ...  # a client pointed at address.base_url, with any token
"""

from batcher.simulator.app import Address, serve
from batcher.simulator.faults import Fault
from batcher.simulator.filehost import file_bytes
from batcher.simulator.latency import Latency
from batcher.simulator.profile import Profile, ProfileError
from batcher.simulator.service import Simulator

__all__ = ["Address", "Fault", "Latency", "Profile", "ProfileError", "Simulator", "file_bytes", "serve"]
