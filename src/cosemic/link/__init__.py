"""Octets to whole APDUs and back, for both roles; knows nothing of what an APDU means, does no I/O, has no clock."""
