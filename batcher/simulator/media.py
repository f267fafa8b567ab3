"""Audio and video: the smallest files that a reader accepts, with other bytes for other inputs."""

import io
import struct
import wave
from collections.abc import Mapping
from typing import Any

from batcher.simulator.chance import fingerprint

TYPES = {"wav": "audio/wav", "mp4": "video/mp4"}
KEYS = {"wav": "audio", "mp4": "video"}  # in ``output``


def sample(form: str, inputs: Mapping[str, Any]) -> bytes:
    """form: ``wav`` or ``mp4``."""
    return _wav(inputs) if form == "wav" else _mp4(inputs)


def _wav(inputs: Mapping[str, Any]) -> bytes:
    """A tenth of a second of noise."""
    seed = bytes.fromhex(fingerprint("wav", inputs)[:16])
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(seed * 100)
    return held.getvalue()


def _mp4(inputs: Mapping[str, Any]) -> bytes:
    """A video without frames: the boxes that name the kind, and a remark."""
    remark = f"SIMULATED {fingerprint('mp4', inputs)}".encode()
    header = struct.pack(">4I", 0, 0, 0, 1000) + struct.pack(">I", 5000) + bytes(80)
    return (
        _box(b"ftyp", b"isom" + bytes(4) + b"isommp42") + _box(b"moov", _box(b"mvhd", header)) + _box(b"mdat", remark)
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
