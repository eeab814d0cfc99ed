"""The interface classes of IEC 62056-6-2 as text, one module a subject; each has a tuple ``CLASSES``.

An entry is class id, version, name, attributes (after logical_name) and methods; ``cosemic.cosem.notation`` says how
they are written. ``docs/classes.md`` tells where each was taken from, and what two sources did not confirm.
"""
