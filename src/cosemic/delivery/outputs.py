"""What every output is: it takes records in order, and returns when the receiver has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from cosemic.delivery.documents import Document, Message, to_document
from cosemic.delivery.exact_json import dumps, loads
from cosemic.errors import DlmsError


class DeliveryError(DlmsError):
    """A record did not reach its receiver. ``delivered`` is how many, at the beginning of the batch, did."""

    def __init__(self, message: str, *, delivered: int = 0) -> None:
        super().__init__(message)
        self.delivered = delivered


class OutputUnavailable(DeliveryError):
    """The receiver cannot be reached, or cannot take anything now: the same records are offered again later."""


class OutputRefused(DeliveryError):
    """The receiver will never take what comes after the first ``delivered`` records of the batch.

    In a batch of several it need not be the first of these: they are then offered one by one. A single one that is
    refused goes to the dead letters, and that is told.
    """


class OutputClosed(DeliveryError):
    """The receiver is gone for good (the reader of a pipe has ended): there is no sense in going on."""


class Record:
    """One message on its way: its id, its document, and that as a line of JSON. Each of the two is made when needed."""

    __slots__ = ("_document", "_text")
    _document: Document | None
    _text: str | None

    def __init__(self, document: Document | None = None, text: str | None = None) -> None:
        if document is None and text is None:
            raise ValueError("a record is a document or its text")
        self._document = document
        self._text = text

    @classmethod
    def of(cls, message: Message, *, identity: str | None = None) -> Record:
        """The record of a message from a listener."""
        return cls(to_document(message, identity=identity))

    @property
    def id(self) -> str:
        """The id of the message."""
        return self.document["id"]

    @property
    def document(self) -> Document:
        """What the message says; not to be changed. ValueError when the text is no document."""
        if self._document is None:
            value = loads(self._text or "")
            if not isinstance(value, dict) or "id" not in value or "readings" not in value:
                raise ValueError("this text is no document of a message")
            self._document = cast("Document", value)
        return self._document

    @property
    def text(self) -> str:
        """The document as one line of JSON, without the end of the line."""
        if self._text is None:
            self._text = dumps(self._document)
        return self._text

    def __repr__(self) -> str:
        return f"Record({self.text[:80]!r})"


class Output(Protocol):
    """A place that records go to. One ``deliver`` at a time; records come in order, perhaps again after an error."""

    @property
    def name(self) -> str:
        """What it is called in logs and in the spool: stable, and its own among the outputs of one pipeline."""

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when the receiver has the whole batch; DeliveryError when it has not.

        An empty batch opens what is to be open (a connection, a port) and does nothing else.
        """

    async def close(self) -> None:
        """Let go of everything; also after an error, and more than once."""
