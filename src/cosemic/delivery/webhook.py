"""A webhook: batches of messages posted as JSON, signed when there is a secret."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from cosemic.delivery.outputs import OutputRefused, OutputUnavailable, Record

SIGNATURE: Final = "X-Cosemic-Signature"
"""``sha256=`` and the HMAC-SHA-256, in hex, over the time, a point and the body."""
TIMESTAMP: Final = "X-Cosemic-Timestamp"
"""Seconds since 1970, part of what is signed: a receiver can refuse what is old."""


class WebhookOutput:
    """Posts ``{"messages": [document, …]}`` to a URL; the ids of the messages tell repeats.

    2xx means delivered. 408, 429, 5xx, redirections, and no answer within ``deadline`` seconds: offered again later.
    Any other 4xx: refused. TLS is verified, with ``ca_file`` against these certificates. No redirection is followed.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        ca_file: str | None = None,
        deadline: float = 20.0,
        most: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a webhook is written as https://HOST/PATH or http://HOST/PATH")
        if parts.username is not None or parts.password is not None:
            raise ValueError("no user and password in the URL of a webhook; use a secret to sign with")
        if any(not 32 < ord(char) < 127 for char in url):
            raise ValueError("the URL of a webhook has ASCII letters only; write others as %XX")
        self._host, self._port = parts.hostname, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"the certificates in {ca_file} cannot be read: {error}") from None
        # A query may hold a token: it is in no name and no message.
        self._where = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self.name = f"webhook:{self._where}"
        self._secret = None if secret is None else secret.encode()
        self._deadline = deadline
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Post the records, at most ``most`` in one request; return when all are answered with 2xx."""
        for begin in range(0, len(batch), self._most):
            texts = [record.text for record in batch[begin : begin + self._most]]
            body = f'{{"messages": [{", ".join(texts)}]}}'.encode("utf-8", "backslashreplace")
            post = asyncio.ensure_future(asyncio.to_thread(self._post, body))
            done, _ = await asyncio.wait([post], timeout=self._deadline)
            if not done:
                self._break()
                await asyncio.wait([post])
                post.exception()
                raise OutputUnavailable(f"{self._where} does not answer within {self._deadline:g} s", delivered=begin)
            try:
                status, reason = post.result()
            except OSError as error:
                raise OutputUnavailable(f"{self._where}: {_words(error)}", delivered=begin) from None
            except http.client.HTTPException as error:
                text = f"{self._where} answers with something that is no HTTP: {type(error).__name__}"
                raise OutputUnavailable(text, delivered=begin) from None
            self._judge(status, reason, begin)

    async def close(self) -> None:
        """Close the connection."""
        self._break()
        await asyncio.to_thread(self._forget)

    def _judge(self, status: int, reason: str, delivered: int) -> None:
        if 200 <= status < 300:
            return
        text = f"{self._where} answers {status} {''.join(char for char in reason if char.isprintable())[:80]}".rstrip()
        if 400 <= status < 500 and status not in (408, 429):
            raise OutputRefused(text, delivered=delivered)
        if 300 <= status < 400:
            text += "; give the URL that it redirects to"
        raise OutputUnavailable(text, delivered=delivered)

    def _post(self, body: bytes) -> tuple[int, str]:
        with self._lock:
            connection, is_used = self._connection, self._connection is not None
            if connection is None:
                connection = self._connection = self._connect()
            try:
                return self._ask(connection, body)
            except (ConnectionError, http.client.RemoteDisconnected):
                self._connection = None
                connection.close()
                if not is_used:
                    raise
            except (OSError, http.client.HTTPException):
                self._connection = None
                connection.close()
                raise
            # A connection that was kept may have been closed by the other side in between: that says nothing.
            connection = self._connection = self._connect()
            try:
                return self._ask(connection, body)
            except (OSError, http.client.HTTPException):
                self._connection = None
                connection.close()
                raise

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "cosemic"}
        if self._secret is not None:
            moment = str(math.floor(self._clock()))
            digest = hmac.new(self._secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
            headers |= {TIMESTAMP: moment, SIGNATURE: f"sha256={digest}"}
        connection.request("POST", self._path, body, headers)
        answer = connection.getresponse()
        answer.read(_MOST_OF_AN_ANSWER)
        if not answer.isclosed():  # more than anybody needs: the connection is of no use for the next request
            connection.close()
        return answer.status, answer.reason

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._deadline)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._deadline, context=self._tls)

    def _break(self) -> None:
        """End what a thread waits for in the connection: a time-out of its own would begin anew with every octet."""
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


_MOST_OF_AN_ANSWER: Final = 1 << 16
