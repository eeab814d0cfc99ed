"""What a target raises when cosemic breaks its word, and an ear on its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class ViolationError(AssertionError):
    """cosemic did something that no input may make it do; any other exception out of a target is one as well."""


def require(condition: object, text: str, *details: object) -> None:
    """ViolationError with ``text`` unless ``condition`` holds."""
    if not condition:
        raise ViolationError(f"{text}: {', '.join(map(repr, details))}" if details else text)


@contextmanager
def watched_log() -> Iterator[None]:
    """Every message of cosemic is made, shown to nobody, and must not be an error: errors in the log are bugs."""
    logger = logging.getLogger("cosemic")
    level, propagate = logger.level, logger.propagate
    ear = _Ear()
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
        logger.propagate = propagate


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            error = record.exc_info[1] if record.exc_info else None
            raise ViolationError(f"{record.name} logs an error: {text}: {error!r}") from error
