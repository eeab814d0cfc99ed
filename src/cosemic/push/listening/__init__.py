"""The asynchronous side: sources of octets, limits for whoever sends them, the inventory of meters."""
