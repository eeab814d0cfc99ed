"""Classes of radio and M-Bus: GSM, LTE, M-Bus, mode Q, ZigBee (IEC 62056-6-2, 4.7, 4.8 and 4.15)."""

from __future__ import annotations

_CELLULAR = (
    "operator:visible-string"
    " status:enum{not_registered,home_network,searching,registration_denied,unknown,roaming}"
    " cs_attachment:enum ps_status:enum"
)
_MBUS = (
    "mbus_port_reference:@obis capture_definition:array capture_period:double-long-unsigned primary_address:unsigned"
    " identification_number:double-long-unsigned manufacturer_id:long-unsigned version:unsigned device_type:unsigned"
    " access_number:unsigned status:unsigned alarm:unsigned"
)
# Later editions deinstall with an unsigned 0: a meter that answers type-unmatched wants that.
_MBUS_METHODS = (
    "slave_install(unsigned) !slave_deinstall(integer=0) capture(integer=0) reset_alarm(integer=0)"
    " synchronize_clock(integer=0) data_send(array) !set_encryption_key(octet-string) !transfer_key(octet-string)"
)

CLASSES = (
    (25, 0, "M-Bus slave port setup", "default_baud:enum avail_baud:enum addr_state:enum bus_address:unsigned", ""),
    (
        47,
        0,
        "GSM diagnostic",
        f"{_CELLULAR} cell_info:structure(cell_id:long-unsigned,location_id:long-unsigned,signal_quality:unsigned,"
        "ber:unsigned) adjacent_cells:table(cell_id:long-unsigned,signal_quality:unsigned) capture_time:@date-time",
        "",
    ),
    (
        47,
        1,
        "GSM diagnostic",
        f"{_CELLULAR} cell_info:structure(cell_id:double-long-unsigned,location_id:long-unsigned,"
        "signal_quality:unsigned,ber:unsigned,mcc:long-unsigned,mnc:long-unsigned,"
        "channel_number:double-long-unsigned)"
        " adjacent_cells:table(cell_id:double-long-unsigned,signal_quality:unsigned) capture_time:@date-time",
        "",
    ),
    (72, 0, "M-Bus client", _MBUS, _MBUS_METHODS),
    (
        72,
        1,
        "M-Bus client",
        _MBUS + " configuration:long-unsigned encryption_key_status:enum{no_encryption_key,encryption_key_set,"
        "encryption_key_transferred,encryption_key_set_and_transferred,encryption_key_in_use}",
        _MBUS_METHODS,
    ),
    (
        73,
        1,
        "Wireless mode Q channel",
        "addr_state:enum device_address:octet-string address_mask:octet-string",
        "",
    ),
    (74, 0, "M-Bus master port setup", "comm_speed:enum", ""),
    (
        77,
        0,
        "M-Bus diagnostic",
        "received_signal_strength channel_id link_status broadcast_frames_counter transmissions_counter"
        " fcs_ok_frames_counter fcs_nok_frames_counter capture_time",
        "reset",
    ),
    (
        101,
        0,
        "ZigBee SAS startup",
        "short_address:long-unsigned extended_pan_id:octet-string pan_id:long-unsigned"
        " channel_mask:double-long-unsigned protocol_version:unsigned stack_profile:enum start_up_control:unsigned"
        " trust_center_address:octet-string link_key:octet-string network_key:octet-string use_insecure_join:boolean",
        "",
    ),
    (
        102,
        0,
        "ZigBee SAS join",
        "scan_attempts:unsigned time_between_scans:long-unsigned rejoin_interval:long-unsigned"
        " rejoin_retry_interval:long-unsigned",
        "",
    ),
    (
        103,
        0,
        "ZigBee SAS APS fragmentation",
        "aps_interframe_delay:long-unsigned aps_max_window_size:long-unsigned",
        "",
    ),
    (
        104,
        0,
        "ZigBee network control",
        "enable_disable_joining:boolean join_timeout:long-unsigned active_devices:array",
        "register_device !unregister_device !unregister_all_devices backup_pan !restore_pan identify_device"
        " !remove_mirror !update_network_key !update_link_key !create_pan !remove_pan",
    ),
    (
        105,
        0,
        "ZigBee tunnel setup",
        "maximum_incoming_transfer_size:long-unsigned maximum_outgoing_transfer_size:long-unsigned"
        " protocol_address:octet-string close_tunnel_timeout:long-unsigned",
        "",
    ),
    (151, 1, "LTE monitoring", "lte_network_parameters:structure lte_quality_of_service:structure", ""),
)
