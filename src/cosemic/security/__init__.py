"""Keys, protection of APDUs, invocation counters, and proof of identity. The only layer that touches cryptography."""
