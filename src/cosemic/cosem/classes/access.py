"""Classes that control access and manage the meter: associations, security, images (IEC 62056-6-2, 4.4)."""

from __future__ import annotations

_SHORT = (
    "object_list:table(base_name:long,class_id:long-unsigned,version:unsigned,logical_name:@obis)"
    " access_rights_list:array security_setup_reference:@obis"
)
_USERS = " user_list:array(@user) current_user:@user"
_LONG = (
    "object_list:array(@object-list-element)"
    " associated_partners_id:structure(client_sap:integer,server_sap:long-unsigned)"
    " application_context_name:structure|octet-string"
    " xdlms_context_info:structure(conformance:bit-string,max_receive_pdu_size:long-unsigned,"
    "max_send_pdu_size:long-unsigned,dlms_version_number:unsigned,quality_of_service:integer,"
    "cyphering_info:octet-string) authentication_mechanism_name:structure|octet-string secret:octet-string"
    " association_status:enum{non_associated,association_pending,associated}"
)
_LONG_METHODS = (
    "reply_to_hls_authentication(octet-string) !change_hls_secret(octet-string) !add_object(@object-list-element)"
    " !remove_object(@object-list-element)"
)
_POLICY = (
    "enum[,,authenticated_request,encrypted_request,digitally_signed_request,authenticated_response,"
    "encrypted_response,digitally_signed_response]"
)
_OLD_POLICY = "enum{nothing,authenticated,encrypted,authenticated_encrypted}"
_KEYS = "global_unicast_encryption_key,global_broadcast_encryption_key,authentication_key"
_TITLES = "client_system_title:octet-string server_system_title:octet-string"

CLASSES = (
    (
        12,
        2,
        "Association SN",
        _SHORT,
        "? ? read_by_logicalname get_attributes_and_methods !change_lls_secret !change_hls_secret ?"
        " reply_to_hls_authentication(octet-string)",
    ),
    (
        12,
        3,
        "Association SN",
        _SHORT + _USERS,
        "? ? read_by_logicalname ? !change_secret ? ? reply_to_hls_authentication(octet-string) !add_user !remove_user",
    ),
    (
        12,
        4,
        "Association SN",
        _SHORT + _USERS,
        "? ? read_by_logicalname ? !change_secret ? ? reply_to_hls_authentication(octet-string) !add_user !remove_user",
    ),
    (15, 0, "Association LN", _LONG, _LONG_METHODS),
    (15, 1, "Association LN", _LONG + " security_setup_reference:@obis", _LONG_METHODS),
    (
        15,
        2,
        "Association LN",
        _LONG + " security_setup_reference:@obis" + _USERS,
        _LONG_METHODS + " !add_user(@user) !remove_user(@user)",
    ),
    (
        15,
        3,
        "Association LN",
        _LONG + " security_setup_reference:@obis" + _USERS,
        _LONG_METHODS + " !add_user(@user) !remove_user(@user)",
    ),
    (
        17,
        0,
        "SAP assignment",
        "sap_assignment_list:table(sap:long-unsigned,logical_device_name:octet-string)",
        "!connect_logical_device",
    ),
    (
        18,
        0,
        "Image transfer",
        ".image_block_size:double-long-unsigned ~image_transferred_blocks_status:bit-string"
        " ~image_first_not_transferred_block_number:double-long-unsigned .image_transfer_enabled:boolean"
        " ~image_transfer_status:enum{transfer_not_initiated,transfer_initiated,verification_initiated,"
        "verification_successful,verification_failed,activation_initiated,activation_successful,activation_failed}"
        " image_to_activate_info:table(image_to_activate_size:double-long-unsigned,"
        "image_to_activate_identification:octet-string,image_to_activate_signature:octet-string)",
        "!image_transfer_initiate(structure(image_identifier:octet-string,image_size:double-long-unsigned))"
        " image_block_transfer(structure(image_block_number:double-long-unsigned,image_block_value:octet-string))"
        " image_verify(integer=0) !image_activate(integer=0)",
    ),
    (
        30,
        0,
        "Data protection",
        "protection_buffer:octet-string protection_object_list:array protection_parameters_get:array"
        " protection_parameters_set:array required_protection",
        "get_protected_attributes !set_protected_attributes !invoke_protected_method",
    ),
    (
        64,
        0,
        "Security setup",
        f"security_policy:{_OLD_POLICY} security_suite:enum{{0:suite_0}} {_TITLES}",
        f"!security_activate({_OLD_POLICY})"
        f" !global_key_transfer(table(key_id:enum{{{_KEYS}}},key_wrapped:octet-string))",
    ),
    (
        64,
        1,
        "Security setup",
        f"security_policy:{_POLICY} security_suite:enum{{suite_0,suite_1,suite_2}} {_TITLES}"
        " certificates:table(certificate_entity:enum{server,client,certification_authority,other},"
        "certificate_type:enum{digital_signature,key_agreement,tls,other},serial_number:octet-string,"
        "issuer:octet-string,subject:octet-string,subject_alt_name:octet-string)",
        f"!security_activate({_POLICY})"
        f" !key_transfer(table(key_id:enum{{{_KEYS},master_key}},key_wrapped:octet-string))"
        f" !key_agreement(table(key_id:enum{{{_KEYS},master_key}},key_data:octet-string))"
        " !generate_key_pair(@key-pair) generate_certificate_request(@key-pair) !import_certificate(octet-string)"
        " export_certificate(@certificate-identification) !remove_certificate(@certificate-identification)",
    ),
    (
        122,
        0,
        "Function control",
        "activation_status:array function_list:array",
        "!set_function_status !add_function !remove_function",
    ),
    (
        123,
        0,
        "Array manager",
        "array_object_list:array",
        "retrieve_number_of_entries retrieve_entries !insert_entry !update_entry !remove_entries",
    ),
    (
        124,
        0,
        "Communication port protection",
        "protection_mode:enum allowed_failed_attempts:long-unsigned initial_lockout_time:double-long-unsigned"
        " steepness_factor:unsigned max_lockout_time:double-long-unsigned port_reference:@obis protection_status:enum"
        " failed_attempts:double-long-unsigned cumulative_failed_attempts:double-long-unsigned",
        "reset",
    ),
)
