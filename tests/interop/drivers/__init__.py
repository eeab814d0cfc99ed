"""Small programs that run inside a foreign library's environment, told by JSON on standard input what to do.

They print one JSON object a step: ``{"value": …}`` or ``{"error": "…"}``. They import nothing of cosemic.
"""
