"""Captures that people can share: identifiers masked, frames valid.

>>> from cosemic.captures import open_capture
>>> from cosemic.redacting import redact
>>> with open_capture(b"7EA0...") as capture:  # doctest: +SKIP
...     redacted = redact(capture)
"""

from __future__ import annotations

from cosemic.redacting.capture import Redacted, redact
from cosemic.redacting.marks import Keep
from cosemic.redacting.sealing import ThrowAwayKeys

__all__ = ["Keep", "Redacted", "ThrowAwayKeys", "redact"]
