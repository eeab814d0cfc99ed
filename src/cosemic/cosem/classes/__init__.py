"""The interface classes of IEC 62056-6-2 as declarations, one module a subject; each has a tuple ``CLASSES``."""
