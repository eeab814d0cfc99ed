"""Classes that set up communication: ports, modems, HDLC, IP, push (IEC 62056-6-2, 4.7 and 4.9)."""

from __future__ import annotations

_AUTO_ANSWER = (
    "mode:enum listening_window:@windows status:enum number_of_calls:unsigned"
    " number_of_rings:structure(nr_rings_in_window:unsigned,nr_rings_out_of_window:unsigned)"
)
_AUTO_CONNECT = (
    "mode:enum repetitions:unsigned repetition_delay:long-unsigned calling_window:@windows"
    " destination_list:array(octet-string)"
)
_DESTINATION = "send_destination_and_method:structure(transport_service:enum,destination:octet-string,message:enum)"
_PUSH_TIMES = "communication_window:@windows randomisation_start_interval:long-unsigned number_of_retries:unsigned"
_PUSH = f"{_DESTINATION} {_PUSH_TIMES} repetition_delay:long-unsigned"
_PUSH_CLIENT = "port_reference:@obis push_client_sap:integer push_protection_parameters:array"

CLASSES = (
    (
        19,
        1,
        "IEC local port setup",
        "default_mode:enum default_baud:@baud prop_baud:@baud response_time:enum device_addr:octet-string"
        " pass_p1:octet-string pass_p2:octet-string pass_w5:octet-string",
        "",
    ),
    (
        23,
        1,
        "IEC HDLC setup",
        "comm_speed:@baud window_size_transmit:unsigned window_size_receive:unsigned"
        " max_info_field_length_transmit:long-unsigned max_info_field_length_receive:long-unsigned"
        " inter_octet_time_out:long-unsigned inactivity_time_out:long-unsigned device_address:long-unsigned",
        "",
    ),
    (
        24,
        0,
        "IEC twisted pair setup",
        "secondary_address:octet-string primary_address_list:array tabi_list:array(integer) fatal_error:enum",
        "",
    ),
    (
        24,
        1,
        "IEC twisted pair setup",
        "mode:enum comm_speed:@baud primary_address_list:array(unsigned) tabi_list:array(integer)",
        "",
    ),
    (
        27,
        0,
        "Modem configuration",
        "comm_speed:@baud initialization_string:array modem_profile:array(octet-string)",
        "",
    ),
    (
        27,
        1,
        "Modem configuration",
        "comm_speed:@baud"
        " initialization_string:table(request:octet-string,response:octet-string,delay_after_response:long-unsigned)"
        " modem_profile:array(octet-string)",
        "",
    ),
    (28, 0, "Auto answer", _AUTO_ANSWER, ""),
    (
        28,
        2,
        "Auto answer",
        _AUTO_ANSWER + " list_of_allowed_callers:table(caller_id:octet-string,call_type:enum)",
        "",
    ),
    (29, 1, "Auto connect", _AUTO_CONNECT, "?"),
    (29, 2, "Auto connect", _AUTO_CONNECT, "connect(integer=0)"),
    (40, 0, "Push setup", f"push_object_list:array(@capture-object) {_PUSH}", "push(integer=0)"),
    (40, 1, "Push setup", f"push_object_list:array {_PUSH} {_PUSH_CLIENT}", "push(integer=0)"),
    (
        40,
        2,
        "Push setup",
        f"push_object_list:array {_DESTINATION} {_PUSH_TIMES}"
        " repetition_delay:structure(repetition_delay_min:long-unsigned,repetition_delay_exponent:long-unsigned,"
        f"repetition_delay_max:long-unsigned) {_PUSH_CLIENT} push_operation_method:enum"
        " confirmation_parameters:structure(confirmation_start_date:@date-time,"
        "confirmation_interval:double-long-unsigned) last_confirmation_date_time:@date-time",
        "push(integer=0) reset(integer=0)",
    ),
    (
        41,
        0,
        "TCP-UDP setup",
        "tcp_udp_port:long-unsigned ip_reference:@obis mss:long-unsigned nb_of_sim_conn:unsigned"
        " inactivity_time_out:long-unsigned",
        "",
    ),
    (
        42,
        0,
        "IPv4 setup",
        "dl_reference:@obis ip_address:double-long-unsigned multicast_ip_address:array(double-long-unsigned)"
        " ip_options:table(ip_option_type:unsigned,ip_option_length:unsigned,ip_option_data:octet-string)"
        " subnet_mask:double-long-unsigned gateway_ip_address:double-long-unsigned use_dhcp_flag:boolean"
        " primary_dns_address:double-long-unsigned secondary_dns_address:double-long-unsigned",
        "add_mc_ip_address delete_mc_ip_address get_nbof_mc_ip_addresses",
    ),
    (43, 0, "MAC address setup", "mac_address:octet-string", ""),
    (
        44,
        0,
        "PPP setup",
        "phy_reference:@obis lcp_options:@ppp-options ipcp_options:@ppp-options"
        " ppp_authentication:structure(user_name:octet-string,password:octet-string)",
        "",
    ),
    (
        45,
        0,
        "GPRS modem setup",
        "apn:octet-string pin_code:long-unsigned quality_of_service:structure(default:@qos,requested:@qos)",
        "",
    ),
    (
        46,
        0,
        "SMTP setup",
        "server_port:long-unsigned user_name:octet-string login_password:octet-string server_address:octet-string"
        " sender_address:octet-string",
        "",
    ),
    (
        48,
        0,
        "IPv6 setup",
        "dl_reference:@obis address_config_mode:enum{auto_configuration,dhcpv6,manual,neighbour_discovery}"
        " unicast_ipv6_addresses:array(octet-string) multicast_ipv6_addresses:array(octet-string)"
        " gateway_ipv6_addresses:array(octet-string) primary_dns_address:octet-string"
        " secondary_dns_address:octet-string traffic_class:unsigned neighbor_discovery_setup:array",
        "add_ipv6_address remove_ipv6_address",
    ),
    (
        100,
        0,
        "NTP setup",
        "activated:boolean server_address:octet-string server_port:long-unsigned authentication_method:enum"
        " authentication_keys:table(key_id:double-long-unsigned,key:octet-string) client_key:octet-string",
        "synchronize(integer=0) !add_authentication_key(structure(key_id:double-long-unsigned,key:octet-string))"
        " !delete_authentication_key",
    ),
    (
        152,
        0,
        "CoAP setup",
        "udp_reference:@obis ack_timeout:long-unsigned ack_random_factor:long-unsigned max_retransmit:long-unsigned"
        " nstart:long-unsigned delay_ack_timeout:long-unsigned exponential_back_off:long-unsigned"
        " probing_rate:long-unsigned coap_uri_path:octet-string transport_mode:enum version:choice"
        " token_length:unsigned",
        "",
    ),
    (
        153,
        0,
        "CoAP diagnostic",
        "messages_counter:structure request_response_counter:structure coap_bt_counter:structure"
        " capture_time:structure",
        "reset",
    ),
)
