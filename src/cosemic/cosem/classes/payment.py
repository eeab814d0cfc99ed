"""Classes of payment metering (IEC 62056-6-2, 4.6)."""

from __future__ import annotations

CLASSES = (
    (
        111,
        0,
        "Account",
        "account_mode_and_status:structure(payment_mode:enum,account_status:enum) current_credit_in_use:unsigned"
        " current_credit_status:bit-string available_credit:double-long amount_to_clear:double-long"
        " clearance_threshold:double-long aggregated_debt:double-long credit_reference_list:array"
        " charge_reference_list:array credit_charge_configuration:array token_gateway_configuration:array"
        " account_activation_time:@date-time account_closure_time:@date-time currency:structure"
        " low_credit_threshold:double-long next_credit_available_threshold:double-long max_provision:long-unsigned"
        " max_provision_period:double-long",
        "!activate_account !close_account !reset_account",
    ),
    (
        112,
        0,
        "Credit",
        "current_credit_amount:double-long"
        " credit_type:enum{token_credit,reserved_credit,emergency_credit,time_based_credit,consumption_based_credit}"
        " priority:unsigned warning_threshold:double-long limit:double-long credit_configuration:bit-string"
        " credit_status:enum preset_credit_amount:double-long credit_available_threshold:double-long"
        " period:@date-time",
        "!update_amount !set_amount_to_value !invoke_credit",
    ),
    (
        113,
        0,
        "Charge",
        "total_amount_paid:double-long charge_type:enum priority:unsigned unit_charge_active:structure"
        " unit_charge_passive:structure unit_charge_activation_time:@date-time period:double-long-unsigned"
        " charge_configuration:bit-string last_collection_time:@date-time last_collection_amount:double-long"
        " total_amount_remaining:double-long proportion:long-unsigned",
        "!update_unit_charge !activate_passive_unit_charge !collect !update_total_amount_remaining"
        " !set_total_amount_remaining",
    ),
    (
        115,
        0,
        "Token gateway",
        "token:octet-string token_time:@date-time token_description:array token_delivery_method:enum"
        " token_status:structure",
        "!enter",
    ),
    (
        116,
        0,
        "IEC 62055-41 attributes",
        "meter_pan:structure commodity:visible-string token_carrier_types:array encryption_algorithm:unsigned"
        " supply_group_code:double-long-unsigned tariff_index:unsigned key_revision_number:unsigned key_type:unsigned"
        " key_expiry_number:unsigned no_of_kct_supported:unsigned sts_certificate_no:visible-string",
        "",
    ),
)
