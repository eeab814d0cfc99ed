"""Pushes on their way to where people use them: outputs, and the spool that waits for them."""
