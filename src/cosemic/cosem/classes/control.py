"""Classes that control by time and by events: clock, schedules, limits, the switch (IEC 62056-6-2, 4.5)."""

from __future__ import annotations

CLASSES = (
    (
        8,
        0,
        "Clock",
        "time:octet-string|date-time time_zone:long status:unsigned daylight_savings_begin:octet-string|date-time"
        " daylight_savings_end:octet-string|date-time daylight_savings_deviation:integer"
        " daylight_savings_enabled:boolean clock_base:enum",
        "adjust_to_quarter adjust_to_measuring_period adjust_to_minute adjust_to_preset_time preset_adjusting_time"
        " shift_time",
    ),
    (9, 0, "Script table", "scripts:array", "execute"),
    (10, 0, "Schedule", "entries:array", "enable_disable insert delete"),
    (11, 0, "Special days table", "entries:array", "insert delete"),
    (
        20,
        0,
        "Activity calendar",
        "calendar_name_active:octet-string season_profile_active:array week_profile_table_active:array"
        " day_profile_table_active:array calendar_name_passive:octet-string season_profile_passive:array"
        " week_profile_table_passive:array day_profile_table_passive:array"
        " activate_passive_calendar_time:octet-string|date-time",
        "activate_passive_calendar",
    ),
    (21, 0, "Register monitor", "thresholds:array monitored_value:structure actions:array", ""),
    (22, 0, "Single action schedule", "executed_script:structure type:enum execution_time:array", ""),
    (
        65,
        0,
        "Parameter monitor",
        "changed_parameter:structure capture_time:octet-string|date-time parameter_list:array",
        "add_parameter delete_parameter",
    ),
    (
        65,
        1,
        "Parameter monitor",
        "changed_parameter:structure capture_time:octet-string|date-time parameter_list:array"
        " parameter_list_name:octet-string hash_algorithm_id:enum parameter_value_digest:octet-string"
        " parameter_values:structure",
        "add_parameter delete_parameter",
    ),
    (
        67,
        0,
        "Sensor manager",
        "serial_number:octet-string metrological_identification:octet-string output_type:enum"
        " adjustment_method:octet-string sealing_method:enum raw_value:choice scaler_unit:structure status:choice"
        " capture_time:octet-string|date-time raw_value_thresholds:array raw_value_actions:array"
        " processed_value:structure processed_value_thresholds:array processed_value_actions:array",
        "reset",
    ),
    (
        68,
        0,
        "Arbitrator",
        "actions:array permissions_table:array weightings_table:array most_recent_requests_table:array"
        " last_outcome:unsigned",
        "request_action reset",
    ),
    (
        70,
        0,
        "Disconnect control",
        "output_state:boolean control_state:enum control_mode:enum",
        "remote_disconnect remote_reconnect",
    ),
    (
        71,
        0,
        "Limiter",
        "monitored_value:structure threshold_active:choice threshold_normal:choice threshold_emergency:choice"
        " min_over_threshold_duration:double-long-unsigned min_under_threshold_duration:double-long-unsigned"
        " emergency_profile:structure emergency_profile_group_id_list:array emergency_profile_active:boolean"
        " actions:structure",
        "",
    ),
)
