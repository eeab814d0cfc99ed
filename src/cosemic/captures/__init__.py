"""Captures on disk: recordings of what came over a line, and pcap and pcapng files."""
