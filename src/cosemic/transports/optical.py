"""Signs on to a meter's optical port (IEC 62056-21, mode E) and hands the line over to HDLC, in both forms."""

from __future__ import annotations

import logging
from typing import cast

from cosemic.errors import LinkTimeout
from cosemic.link.signon import SignedOn, SignOnClient, SignOnFailed, SwitchLine
from cosemic.link.signon_messages import LineSettings, SignOnOptions
from cosemic.tolerances import DEFAULT, Tolerance
from cosemic.transports.streams import (
    BlockingStream,
    ReconfigurableBlockingStream,
    ReconfigurableStream,
    Stream,
    clock_of,
)

logger = logging.getLogger("cosemic.transports")


async def sign_on(stream: Stream, options: SignOnOptions, *, tolerances: frozenset[Tolerance] = DEFAULT) -> SignedOn:
    """Sign on over a stream that is set to ``options.line``; the stream carries HDLC from then on.

    A stream with a method ``reconfigure`` is asked to change its speed; one without is taken to have none. A meter that
    does not answer, or does not offer HDLC, is a LinkError, after ``options.longest`` seconds at the most; the stream
    is left open.
    """
    clock = clock_of(stream)
    client = SignOnClient(options, tolerances=tolerances)
    now = clock()
    latest = now + options.longest
    client.start(now)
    while True:
        if data := client.data_to_send():
            await stream.send(data, latest)
        for event in client.events():
            if isinstance(event, SwitchLine):
                await reconfigure(stream, event.settings)
            elif isinstance(event, SignOnFailed):
                raise event.error
            else:
                logger.info("signed on to %s, now at %s", event.identification, event.settings)
                return event
        try:
            data = await stream.receive(_earlier(client.next_deadline(), latest))
        except TimeoutError:
            client.on_time(_still(clock(), latest))
            continue
        now = _still(clock(), latest)
        if data:
            client.receive_data(data, now)
            client.on_time(now)  # what is due does not wait for a silence
        else:
            client.end_of_stream(now)


def _earlier(due: float | None, latest: float) -> float:
    return latest if due is None else min(due, latest)


def _still(now: float, latest: float) -> float:
    """The time, while there is any left: LinkTimeout where a line that never falls silent has used it up."""
    if now >= latest:
        raise LinkTimeout("the sign-on came to no end in its time, although octets came; is that the meter's port?")
    return now


async def reconfigure(stream: Stream, settings: LineSettings) -> None:
    """Change the line where the stream can; one without a speed is left as it is."""
    if hasattr(stream, "reconfigure"):
        await cast("ReconfigurableStream", stream).reconfigure(settings)
    else:
        logger.debug("the stream has no speed to be set to %s", settings)


async def open_signed_on(stream: Stream, options: SignOnOptions, tolerances: frozenset[Tolerance]) -> Stream:
    """The stream after a sign-on; closed again where that fails."""
    try:
        await sign_on(stream, options, tolerances=tolerances)
    except BaseException:
        stream.close()
        raise
    return stream


def sign_on_blocking(
    stream: BlockingStream, options: SignOnOptions, *, tolerances: frozenset[Tolerance] = DEFAULT
) -> SignedOn:
    """As ``sign_on``, for ``cosemic.blocking``."""
    clock = clock_of(stream)
    client = SignOnClient(options, tolerances=tolerances)
    now = clock()
    latest = now + options.longest
    client.start(now)
    while True:
        if data := client.data_to_send():
            stream.send(data, latest)
        for event in client.events():
            if isinstance(event, SwitchLine):
                if hasattr(stream, "reconfigure"):
                    cast("ReconfigurableBlockingStream", stream).reconfigure(event.settings)
            elif isinstance(event, SignOnFailed):
                raise event.error
            else:
                logger.info("signed on to %s, now at %s", event.identification, event.settings)
                return event
        try:
            data = stream.receive(_earlier(client.next_deadline(), latest))
        except TimeoutError:
            client.on_time(_still(clock(), latest))
            continue
        now = _still(clock(), latest)
        if data:
            client.receive_data(data, now)
            client.on_time(now)  # what is due does not wait for a silence
        else:
            client.end_of_stream(now)


def open_signed_on_blocking(
    stream: BlockingStream, options: SignOnOptions, tolerances: frozenset[Tolerance]
) -> BlockingStream:
    """The stream after a sign-on; closed again where that fails."""
    try:
        sign_on_blocking(stream, options, tolerances=tolerances)
    except BaseException:
        stream.close()
        raise
    return stream
