"""Classes that hold data and measured values (IEC 62056-6-2, 4.3)."""

from __future__ import annotations

_PROFILE = (
    "buffer:array|compact-array capture_objects:array capture_period:double-long-unsigned sort_method:enum"
    " sort_object:structure entries_in_use:double-long-unsigned profile_entries:double-long-unsigned"
)

CLASSES = (
    (1, 0, "Data", "value:choice", ""),
    (3, 0, "Register", "value:choice scaler_unit:structure", "reset"),
    (
        4,
        0,
        "Extended register",
        "value:choice scaler_unit:structure status:choice capture_time:octet-string|date-time",
        "reset",
    ),
    (
        5,
        0,
        "Demand register",
        "current_average_value:choice last_average_value:choice scaler_unit:structure status:choice"
        " capture_time:octet-string|date-time start_time_current:octet-string|date-time period:double-long-unsigned"
        " number_of_periods:long-unsigned",
        "reset next_period",
    ),
    (
        6,
        0,
        "Register activation",
        "register_assignment:array mask_list:array active_mask:octet-string",
        "add_register add_mask delete_mask",
    ),
    (7, 0, "Profile generic", _PROFILE, "reset capture get_buffer_by_range get_buffer_by_index"),
    (7, 1, "Profile generic", _PROFILE, "reset capture"),
    (26, 0, "Utility tables", "table_id:long-unsigned length:double-long-unsigned buffer:octet-string", ""),
    (
        61,
        0,
        "Register table",
        "table_cell_values:array|compact-array table_cell_definition:structure scaler_unit:structure",
        "reset capture",
    ),
    (
        62,
        0,
        "Compact data",
        "compact_buffer:octet-string capture_objects:array template_id:unsigned template_description:octet-string"
        " capture_method:enum",
        "reset capture",
    ),
    (
        62,
        1,
        "Compact data",
        "compact_buffer:octet-string capture_objects:array template_id:unsigned template_description:octet-string"
        " capture_method:enum",
        "reset capture",
    ),
    (63, 0, "Status mapping", "status_word:choice mapping_table:structure", ""),
)
