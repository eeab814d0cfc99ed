"""Structures that several interface classes share, by the name that declarations refer to (``@script``)."""

from __future__ import annotations

SHAPES = {
    # Which attribute of which object; an index of 0 means the whole attribute (IEC 62056-6-2, profile generic).
    "capture-object": (
        "structure(class_id:long-unsigned,logical_name:@obis,attribute_index:integer,data_index:long-unsigned)"
    ),
    # The attribute that a limiter or a monitor watches (IEC 62056-6-2, value_definition).
    "monitored-value": "structure(class_id:long-unsigned,logical_name:@obis,attribute_index:integer)",
    # A script of a script table (IEC 62056-6-2, action_item).
    "script": "structure(script_logical_name:@obis,script_selector:long-unsigned)",
    "object-definition": "structure(class_id:long-unsigned,logical_name:@obis)",
    "register-mask": "structure(mask_name:octet-string,index_list:array(unsigned))",
    "windows": "table(start_time:@date-time,end_time:@date-time)",
    "baud": "enum{300,600,1200,2400,4800,9600,19200,38400,57600,115200}",
    "object-list-element": (
        "structure(class_id:long-unsigned,version:unsigned,logical_name:@obis,"
        "access_rights:structure(attribute_access:array,method_access:array))"
    ),
    "user": "structure(user_id:unsigned,user_name:visible-string)",
    "schedule-entry": (
        "structure(index:long-unsigned,enable:boolean,script_logical_name:@obis,script_selector:long-unsigned,"
        "switch_time:@time,validity_window:long-unsigned,exec_weekdays:bit-string,exec_specdays:bit-string,"
        "begin_date:@date,end_date:@date)"
    ),
    "special-day": "structure(index:long-unsigned,specialday_date:@date,day_id:unsigned)",
    "seasons": "table(season_profile_name:octet-string,season_start:@date-time,week_name:octet-string)",
    "weeks": (
        "table(week_profile_name:octet-string,monday:unsigned,tuesday:unsigned,wednesday:unsigned,thursday:unsigned,"
        "friday:unsigned,saturday:unsigned,sunday:unsigned)"
    ),
    "days": (
        "table(day_id:unsigned,"
        "day_schedule:table(start_time:@time,script_logical_name:@obis,script_selector:long-unsigned))"
    ),
    "key-pair": "enum{digital_signature,key_agreement,tls}",
    "certificate-identification": (
        "structure(certificate_identification_type:enum{entity,serial},certification_identification_options:structure)"
    ),
    "qos": (
        "structure(precedence:unsigned,delay:unsigned,reliability:unsigned,peak_throughput:unsigned,"
        "mean_throughput:unsigned)"
    ),
    "ppp-options": "table(option_type:unsigned,option_length:unsigned,option_data:choice)",
    "mac-counters": "table(mac_address:long-unsigned,counter:double-long-unsigned)",
}
