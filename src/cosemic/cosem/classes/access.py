"""Classes that control access and manage the meter: associations, security, images (IEC 62056-6-2, 4.4)."""

from __future__ import annotations

_ASSOCIATION = (
    "object_list:array associated_partners_id:structure application_context_name:structure|octet-string"
    " xdlms_context_info:structure authentication_mechanism_name:structure|octet-string secret:octet-string"
    " association_status:enum"
)
_SECURITY = "security_policy:enum security_suite:enum client_system_title:octet-string server_system_title:octet-string"

CLASSES = (
    (
        12,
        3,
        "Association SN",
        "object_list:array access_rights_list:array security_setup_reference:octet-string",
        "reserved_1 reserved_2 read_by_logicalname reserved_4 change_secret reserved_6 reserved_7"
        " reply_to_hls_authentication",
    ),
    (
        15,
        0,
        "Association LN",
        _ASSOCIATION,
        "reply_to_hls_authentication change_hls_secret add_object remove_object",
    ),
    (
        15,
        1,
        "Association LN",
        _ASSOCIATION + " security_setup_reference:octet-string",
        "reply_to_hls_authentication change_hls_secret add_object remove_object",
    ),
    (
        15,
        2,
        "Association LN",
        _ASSOCIATION + " security_setup_reference:octet-string user_list:array current_user:structure",
        "reply_to_hls_authentication change_hls_secret add_object remove_object add_user remove_user",
    ),
    (
        15,
        3,
        "Association LN",
        _ASSOCIATION + " security_setup_reference:octet-string user_list:array current_user:structure",
        "reply_to_hls_authentication change_hls_secret add_object remove_object add_user remove_user",
    ),
    (17, 0, "SAP assignment", "sap_assignment_list:array", "connect_logical_device"),
    (
        18,
        0,
        "Image transfer",
        "image_block_size:double-long-unsigned image_transferred_blocks_status:bit-string"
        " image_first_not_transferred_block_number:double-long-unsigned image_transfer_enabled:boolean"
        " image_transfer_status:enum image_to_activate_info:array",
        "image_transfer_initiate image_block_transfer image_verify image_activate",
    ),
    (
        30,
        0,
        "Data protection",
        "protection_buffer:octet-string protection_object_list:array protection_parameters_get:array"
        " protection_parameters_set:array required_protection:enum",
        "get_protected_attributes set_protected_attributes invoke_protected_method",
    ),
    (64, 0, "Security setup", _SECURITY, "security_activate global_key_transfer"),
    (
        64,
        1,
        "Security setup",
        _SECURITY + " certificates:array",
        "security_activate key_transfer key_agreement generate_key_pair generate_certificate_request import_certificate"
        " export_certificate remove_certificate",
    ),
    (
        122,
        0,
        "Function control",
        "activation_status:array function_list:array",
        "set_function_status add_function remove_function",
    ),
    (
        123,
        0,
        "Array manager",
        "array_object_list:array",
        "retrieve_number_of_entries retrieve_entries insert_entry update_entry remove_entries",
    ),
    (
        124,
        0,
        "Communication port protection",
        "protection_mode:enum allowed_failed_attempts:long-unsigned initial_lockout_time:double-long-unsigned"
        " steepness_factor:unsigned max_lockout_time:double-long-unsigned port_reference:octet-string"
        " protection_status:enum failed_attempts:double-long-unsigned cumulative_failed_attempts:double-long-unsigned",
        "reset",
    ),
)
