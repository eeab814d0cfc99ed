"""No secret in a trace of what is signed or authenticated, but not encrypted."""

from __future__ import annotations

import pytest

from cosemic.codec import axdr
from cosemic.link.parameters import HdlcParameters
from cosemic.protocol.events import Associated
from cosemic.security.suites import GeneralKey, SigningOrder
from tests.pair.keys import ECDSA, context, settings
from tests.pair.support import ECHO, Pair, get, set_
from tests.protocol.test_redaction import READ, SECRET, SET, leaks, traced


@pytest.mark.parametrize("size", [None, 16, 128])
@pytest.mark.parametrize(
    "policy", ["signed", "authenticated", "authenticated-signed", "authenticated-encrypted-signed"]
)
@pytest.mark.parametrize("general", [False, True, *GeneralKey])
def test_new_and_read_secrets(policy: str, general: bool | GeneralKey, size: int | None) -> None:
    kind, options = ("wrapper", {}) if size is None else ("hdlc", {"parameters": HdlcParameters(size, size)})
    for order in SigningOrder:
        pair = Pair(
            *settings(
                ECDSA,
                context(1, "client", policy, general=general, signing_order=order),
                context(1, "meter", policy, signing_order=order),
            ),
            kind,
            **options,
        )
        pair.application.attributes[READ] = axdr.Data.of(axdr.octet_string(SECRET))
        assert isinstance(pair.connect(), Associated)
        seen = traced(pair)
        pair.do(set_(SET))
        pair.do(get(READ))
        assert pair.application.attributes[READ].value == SECRET
        assert not leaks(seen, SECRET)
        seen.clear()
        pair.do(set_((1, ECHO, 2, axdr.octet_string(SECRET))))
        if size != 16:  # frames that end before the APDU inside begins are hidden, whatever it is
            assert leaks(seen, SECRET), "what is no secret is shown"
