"""Loads the shared vector collection; it lies beside the project and is not part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors"
REASON = "the shared vectors are not beside this checkout (expected ../shared/vectors)"


def load(topic: str) -> list[dict[str, Any]]:
    """All cases of one topic (``axdr``, ``hdlc``, ``acse``, …); an empty list where the collection is missing."""
    file = FOLDER / f"{topic}.json"
    if not file.exists():
        return []
    cases: list[dict[str, Any]] = json.loads(file.read_text())["cases"]
    return cases
