"""A line of unknown settings: what octets heard at one of them say of it."""
