"""Captures that people can share: identifiers masked, frames valid."""
