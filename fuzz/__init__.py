"""Fuzzing: what may reach cosemic from outside, as functions that take arbitrary octets and must not raise."""
