"""Structures that several interface classes share, by the name that declarations refer to (``@script``)."""

from __future__ import annotations

SHAPES = {
    # Which attribute of which object; an index of 0 means the whole attribute (IEC 62056-6-2, profile generic).
    "capture-object": (
        "structure(class_id:long-unsigned,logical_name:@obis,attribute_index:integer,data_index:long-unsigned)"
    ),
    # The attribute that a limiter or a register monitor watches (IEC 62056-6-2, value_definition).
    "monitored-value": "structure(class_id:long-unsigned,logical_name:@obis,attribute_index:integer)",
    # A script of a script table (IEC 62056-6-2, action_item).
    "script": "structure(script_logical_name:@obis,script_selector:long-unsigned)",
}
