"""The error of a push that is not opened, and how its sender is named in it."""

from __future__ import annotations

from cosemic.errors import SecurityError
from cosemic.push.messages import Diagnosis


class PushRefused(SecurityError):
    """A message that is not opened, or not taken once it was; nothing of it was used, and no state changed.

    ``diagnosis`` is for programs, ``text`` the sentence for the user, with what to do. Neither has a key or anything of
    what was inside. ``system_title`` and ``invocation_counter`` are those that the message names, where it was read so
    far; ``last_counter`` is the one accepted last, with COUNTER_WENT_BACK.
    """

    def __init__(
        self,
        diagnosis: Diagnosis,
        text: str,
        *,
        system_title: bytes | None = None,
        invocation_counter: int | None = None,
        last_counter: int | None = None,
    ) -> None:
        super().__init__(text)
        self.diagnosis = diagnosis
        self.text = text
        self.system_title = system_title
        self.invocation_counter = invocation_counter
        self.last_counter = last_counter


def title_text(title: bytes) -> str:
    """A system title for people: ``4B464D6750000009 (KFM)``, the letters being those of the maker, where it has any."""
    letters = title[:3]
    shown = title.hex().upper()
    if len(letters) == 3 and letters.isalpha() and letters.isascii():
        return f"{shown} ({letters.decode('ascii')})"
    return shown
