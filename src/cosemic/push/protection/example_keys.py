"""Keys that are printed in documents and examples, and so protect nothing.

People paste them in place of their own and wonder why nothing opens; or a meter really has one, and everybody can read
it. Only keys that somebody published as an example are here, with where; never one of a household.
"""

from __future__ import annotations

from typing import Final

EXAMPLE_KEYS: Final[dict[bytes, str]] = {
    bytes.fromhex(digits): source
    for digits, source in (
        ("000102030405060708090A0B0C0D0E0F", "the encryption key of the Green Book's examples, and of many programs"),
        (
            "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
            "the suite 2 form of the Green Book's encryption key",
        ),
        ("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "the authentication key of the Green Book's examples"),
        (
            "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF",
            "the suite 2 form of the Green Book's authentication key",
        ),
        ("0F0E0D0C0B0A09080706050403020100", "a broadcast key of examples, 0F down to 00"),
        ("36C66639E48A8CA4D6BC8B282A793BBB", "the example in Netz NÖ's description of the customer interface (218_9)"),
        ("101112131415161718191A1B1C1D1E1F", "the example of the Tyrolean customer interface (TINETZ, IKB; Kaifa)"),
        ("01234567890123456789012345678901", "the example of ESPHome's component dlms_meter"),
        ("00112233445566778899AABBCCDDEEFF", "the example of ESPHome's component dsmr"),
        ("AABBCCDDEEFF00112233445566778899", "an example for Wiener Netze's Iskraemeco meters"),
        ("0123456789ABCDEF0123456789ABCDEF", "a pattern, as examples have it"),
        ("FFEEDDCCBBAA99887766554433221100", "a pattern, as examples have it"),
    )
}
"""An example key to where it comes from."""


def example_key(key: bytes) -> str | None:
    """Which published example this key is, in words; None for any other. A key of one octet repeated is one too."""
    if key == key[:1] * len(key):
        return "one octet repeated, as in placeholders"
    return EXAMPLE_KEYS.get(key)
