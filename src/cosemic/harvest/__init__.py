"""Harvesting a profile: only what is missing, in pieces that are kept one by one, whatever cuts the reading short."""
