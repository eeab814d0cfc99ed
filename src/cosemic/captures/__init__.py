"""Captures on disk: recordings of what came over a line, pcap and pcapng files, dumps and logs in text.

>>> from cosemic.captures import open_capture
>>> with open_capture(b"> 7EA0 0721\n< 7EA0 1E21\n") as capture:
...     [(chunk.direction.value, chunk.octets.hex()) for chunk in capture]
[('>', '7ea00721'), ('<', '7ea01e21')]
"""

from __future__ import annotations

from cosemic.captures.chunks import Chunk, Direction
from cosemic.captures.detect import Capture, CaptureFormat, open_capture
from cosemic.captures.recording import RecordingWriter, read_recording
from cosemic.captures.writing import write_capture

__all__ = [
    "Capture",
    "CaptureFormat",
    "Chunk",
    "Direction",
    "RecordingWriter",
    "open_capture",
    "read_recording",
    "write_capture",
]
