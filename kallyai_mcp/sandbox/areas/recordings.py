"""Recordings of calls and voicemails: addresses on the sandbox's own origin, and a sound to be heard there."""

from __future__ import annotations

import io
import math
import struct
import wave
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

_RATE = 8000
_LONGEST = 5.0


def recording_url(world: World, id: str) -> str:  # noqa: A002 - the field's name in every document
    """Return the address of a recording."""
    return f"{world.origin}/recordings/{id}.wav"


def recording_seconds(world: World, id: str) -> float | None:  # noqa: A002 - the field's name in every document
    """Return the length of a recording; None where there is none."""
    for kind in ("call", "inbound_call", "voicemail"):
        found = world.get(kind, id)
        if found is not None:
            return found.get("duration_seconds") or None
    return None


def recording_wav(seconds: float) -> bytes:
    """Return a ringing tone as a WAV file of 8 kHz, mono, 16 bit; it stops after a few seconds."""
    frames = bytearray()
    for sample in range(int(min(seconds, _LONGEST) * _RATE)):
        # 425 Hz is the European ringing tone (ITU-T E.180), here one second in two.
        loud = 6000 if sample // _RATE % 2 == 0 else 0
        frames += struct.pack("<h", int(loud * math.sin(2 * math.pi * 425 * sample / _RATE)))
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(bytes(frames))
    return sound.getvalue()
