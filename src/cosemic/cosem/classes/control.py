"""Classes that control by time and by events: clock, schedules, limits, the switch (IEC 62056-6-2, 4.5)."""

from __future__ import annotations

_PARAMETERS = (
    "changed_parameter:structure(class_id:long-unsigned,logical_name:@obis,attribute_index:integer,"
    "attribute_value:choice) capture_time:@date-time parameter_list:array(@monitored-value)"
)
_MONITOR = "add_parameter(@monitored-value) delete_parameter(@monitored-value)"

CLASSES = (
    (
        8,
        0,
        "Clock",
        "time:@date-time time_zone:long"
        " status:unsigned[invalid,doubtful,different_base,invalid_status,,,,daylight_saving]"
        " daylight_savings_begin:@date-time daylight_savings_end:@date-time daylight_savings_deviation:integer"
        " daylight_savings_enabled:boolean"
        " clock_base:enum{not_defined,internal_crystal,mains_frequency_50_hz,mains_frequency_60_hz,gps,"
        "radio_controlled}",
        "adjust_to_quarter(integer=0) adjust_to_measuring_period(integer=0) adjust_to_minute(integer=0)"
        " adjust_to_preset_time(integer=0)"
        " preset_adjusting_time(structure(preset_time:@date-time,validity_interval_start:@date-time,"
        "validity_interval_end:@date-time)) shift_time(long)",
    ),
    (
        9,
        0,
        "Script table",
        "scripts:table(script_identifier:long-unsigned,actions:table(service_id:enum{1:write,execute},"
        "class_id:long-unsigned,logical_name:@obis,index:integer,parameter:choice))",
        "!execute(long-unsigned)",
    ),
    (
        10,
        0,
        "Schedule",
        "entries:array(@schedule-entry)",
        "!enable_disable(structure(first_index_a:long-unsigned,last_index_a:long-unsigned,first_index_b:long-unsigned,"
        "last_index_b:long-unsigned)) !insert(@schedule-entry)"
        " !delete(structure(first_index:long-unsigned,last_index:long-unsigned))",
    ),
    (
        11,
        0,
        "Special days table",
        "entries:array(@special-day)",
        "!insert(@special-day) !delete(long-unsigned)",
    ),
    (
        20,
        0,
        "Activity calendar",
        "calendar_name_active:octet-string season_profile_active:@seasons week_profile_table_active:@weeks"
        " day_profile_table_active:@days calendar_name_passive:octet-string season_profile_passive:@seasons"
        " week_profile_table_passive:@weeks day_profile_table_passive:@days"
        " activate_passive_calendar_time:@date-time",
        "!activate_passive_calendar(integer=0)",
    ),
    (
        21,
        0,
        "Register monitor",
        "thresholds:array(choice) monitored_value:@monitored-value"
        " actions:table(action_up:@script,action_down:@script)",
        "",
    ),
    (
        22,
        0,
        "Single action schedule",
        "executed_script:@script type:enum execution_time:table(time:@time,date:@date)",
        "",
    ),
    (65, 0, "Parameter monitor", _PARAMETERS, _MONITOR),
    (
        65,
        1,
        "Parameter monitor",
        _PARAMETERS
        + " parameter_list_name:octet-string hash_algorithm_id:enum parameter_value_digest:octet-string"
        + " parameter_values:structure",
        _MONITOR,
    ),
    (
        67,
        0,
        "Sensor manager",
        "serial_number:octet-string metrological_identification:octet-string output_type:enum"
        " adjustment_method:octet-string sealing_method:enum raw_value:choice scaler_unit:@scaler-unit status:choice"
        " capture_time:@date-time raw_value_thresholds:array raw_value_actions:array processed_value"
        " processed_value_thresholds:array processed_value_actions:array",
        "!reset",
    ),
    (
        68,
        0,
        "Arbitrator",
        ".actions:array(@script) .permissions_table:array(bit-string) .weightings_table:array(array(long-unsigned))"
        " ~most_recent_requests_table:array(bit-string) last_outcome:unsigned",
        "!request_action(structure(request_actor:unsigned,request_action_list:bit-string)) !reset(integer=0)",
    ),
    (
        70,
        0,
        "Disconnect control",
        "~output_state:boolean ~control_state:enum{disconnected,connected,ready_for_reconnection}"
        " .control_mode:enum{none,mode_1,mode_2,mode_3,mode_4,mode_5,mode_6}",
        "!remote_disconnect(integer=0) !remote_reconnect(integer=0)",
    ),
    (
        71,
        0,
        "Limiter",
        ".monitored_value:@monitored-value ~threshold_active:choice .threshold_normal:choice"
        " .threshold_emergency:choice .min_over_threshold_duration:double-long-unsigned"
        " .min_under_threshold_duration:double-long-unsigned"
        " .emergency_profile:structure(emergency_profile_id:long-unsigned,emergency_activation_time:@date-time,"
        "emergency_duration:double-long-unsigned) .emergency_profile_group_id_list:array(long-unsigned)"
        " ~emergency_profile_active:boolean"
        " .actions:structure(action_over_threshold:@script,action_under_threshold:@script)",
        "",
    ),
)
