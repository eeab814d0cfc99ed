"""Classes that hold data and measured values (IEC 62056-6-2, 4.3)."""

from __future__ import annotations

_PROFILE = (
    "buffer:array|compact-array capture_objects:array(@capture-object) capture_period:double-long-unsigned"
    " sort_method:enum{1:fifo,lifo,largest,smallest,nearest_to_zero,farthest_from_zero} sort_object:@capture-object"
    " entries_in_use:double-long-unsigned profile_entries:double-long-unsigned"
)

CLASSES = (
    (1, 0, "Data", "value:choice", ""),
    (3, 0, "Register", "value:choice scaler_unit:@scaler-unit", "!reset(integer=0)"),
    (
        4,
        0,
        "Extended register",
        "value:choice scaler_unit:@scaler-unit status:choice capture_time:@date-time",
        "!reset(integer=0)",
    ),
    (
        5,
        0,
        "Demand register",
        "current_average_value:choice last_average_value:choice scaler_unit:@scaler-unit status:choice"
        " capture_time:@date-time start_time_current:@date-time period:double-long-unsigned"
        " number_of_periods:long-unsigned",
        "!reset(integer=0) next_period(integer=0)",
    ),
    (
        6,
        0,
        "Register activation",
        "register_assignment:array(@object-definition) mask_list:array(@register-mask) active_mask:octet-string",
        "!add_register(@object-definition) !add_mask(@register-mask) !delete_mask(octet-string)",
    ),
    (7, 0, "Profile generic", _PROFILE, "!reset(integer=0) capture(integer=0) get_buffer_by_range get_buffer_by_index"),
    (7, 1, "Profile generic", _PROFILE, "!reset(integer=0) capture(integer=0)"),
    (26, 0, "Utility tables", "table_id:long-unsigned length:double-long-unsigned buffer:octet-string", ""),
    (
        61,
        0,
        "Register table",
        "table_cell_values:array|compact-array table_cell_definition:structure scaler_unit:@scaler-unit",
        "!reset capture",
    ),
    (
        62,
        1,
        "Compact data",
        "compact_buffer:octet-string capture_objects:array template_id:unsigned template_description:octet-string"
        " capture_method:enum",
        "!reset capture",
    ),
    (
        63,
        0,
        "Status mapping",
        "status_word:choice mapping_table:structure(ref_table_id:unsigned,ref_table_mapping:choice)",
        "",
    ),
)
