"""Classes that set up communication: ports, HDLC, IP, push, M-Bus, radio (IEC 62056-6-2, 4.7 onwards)."""

from __future__ import annotations

_PUSH = (
    "push_object_list:array send_destination_and_method:structure communication_window:array"
    " randomisation_start_interval:long-unsigned number_of_retries:unsigned repetition_delay:long-unsigned|structure"
)

CLASSES = (
    (
        19,
        1,
        "IEC local port setup",
        "default_mode:enum default_baud:enum prop_baud:enum response_time:enum device_addr:octet-string"
        " pass_p1:octet-string pass_p2:octet-string pass_w5:octet-string",
        "",
    ),
    (
        23,
        1,
        "IEC HDLC setup",
        "comm_speed:enum window_size_transmit:unsigned window_size_receive:unsigned"
        " max_info_field_length_transmit:long-unsigned max_info_field_length_receive:long-unsigned"
        " inter_octet_time_out:long-unsigned inactivity_time_out:long-unsigned device_address:long-unsigned",
        "",
    ),
    (
        24,
        1,
        "IEC twisted pair setup",
        "mode:enum comm_speed:enum primary_address_list:array tab_i_list:array",
        "",
    ),
    (25, 0, "M-Bus slave port setup", "default_baud:enum avail_baud:enum addr_state:enum bus_address:unsigned", ""),
    (
        27,
        1,
        "Modem configuration",
        "comm_speed:enum initialization_string:array modem_profile:array",
        "",
    ),
    (
        28,
        2,
        "Auto answer",
        "mode:enum listening_window:array status:enum number_of_calls:unsigned number_of_rings:structure"
        " list_of_allowed_callers:array",
        "",
    ),
    (
        29,
        2,
        "Auto connect",
        "mode:enum repetitions:unsigned repetition_delay:long-unsigned calling_window:array destination_list:array",
        "connect",
    ),
    (40, 0, "Push setup", _PUSH, "push"),
    (40, 1, "Push setup", _PUSH, "push"),
    (
        40,
        2,
        "Push setup",
        _PUSH + " port_reference:octet-string push_client_sap:integer push_protection_parameters:array"
        " push_operation_method:enum confirmation_parameters:structure"
        " last_confirmation_date_time:octet-string|date-time",
        "push reset",
    ),
    (
        41,
        0,
        "TCP-UDP setup",
        "tcp_udp_port:long-unsigned ip_reference:octet-string mss:long-unsigned nb_of_sim_conn:unsigned"
        " inactivity_time_out:long-unsigned",
        "",
    ),
    (
        42,
        0,
        "IPv4 setup",
        "dl_reference:octet-string ip_address:double-long-unsigned multicast_ip_address:array ip_options:array"
        " subnet_mask:double-long-unsigned gateway_ip_address:double-long-unsigned use_dhcp_flag:boolean"
        " primary_dns_address:double-long-unsigned secondary_dns_address:double-long-unsigned",
        "add_mc_ip_address delete_mc_ip_address get_nbof_mc_ip_addresses",
    ),
    (43, 0, "MAC address setup", "mac_address:octet-string", ""),
    (
        44,
        0,
        "PPP setup",
        "phy_reference:octet-string lcp_options:array ipcp_options:array ppp_authentication:structure",
        "",
    ),
    (45, 0, "GPRS modem setup", "apn:octet-string pin_code:long-unsigned quality_of_service:structure", ""),
    (
        46,
        0,
        "SMTP setup",
        "server_port:long-unsigned user_name:octet-string login_password:octet-string server_address:octet-string"
        " sender_address:octet-string",
        "",
    ),
    (
        47,
        0,
        "GSM diagnostic",
        "operator:visible-string status:enum cs_attachment:enum ps_status:enum cell_info:structure adjacent_cells:array"
        " capture_time:octet-string|date-time",
        "",
    ),
    (
        47,
        1,
        "GSM diagnostic",
        "operator:visible-string status:enum cs_attachment:enum ps_status:enum cell_info:structure adjacent_cells:array"
        " capture_time:octet-string|date-time",
        "",
    ),
    (
        48,
        0,
        "IPv6 setup",
        "dl_reference:octet-string address_config_mode:enum unicast_ipv6_addresses:array"
        " multicast_ipv6_addresses:array gateway_ipv6_addresses:array primary_dns_address:octet-string"
        " secondary_dns_address:octet-string traffic_class:unsigned neighbor_discovery_setup:array",
        "add_ipv6_address remove_ipv6_address",
    ),
    (
        72,
        0,
        "M-Bus client",
        "mbus_port_reference:octet-string capture_definition:array capture_period:double-long-unsigned"
        " primary_address:unsigned identification_number:double-long-unsigned manufacturer_id:long-unsigned"
        " data_header_version:unsigned device_type:unsigned access_number:unsigned status:unsigned alarm:unsigned",
        "slave_install slave_deinstall capture reset_alarm synchronize_clock data_send set_encryption_key transfer_key",
    ),
    (
        72,
        1,
        "M-Bus client",
        "mbus_port_reference:octet-string capture_definition:array capture_period:double-long-unsigned"
        " primary_address:unsigned identification_number:double-long-unsigned manufacturer_id:long-unsigned"
        " data_header_version:unsigned device_type:unsigned access_number:unsigned status:unsigned alarm:unsigned"
        " configuration:long-unsigned encryption_key_status:enum",
        "slave_install slave_deinstall capture reset_alarm synchronize_clock data_send set_encryption_key transfer_key",
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
        "received_signal_strength:unsigned channel_id:unsigned link_status:enum broadcast_frames_counter:array"
        " transmissions_counter:double-long-unsigned fcs_ok_frames_counter:double-long-unsigned"
        " fcs_nok_frames_counter:double-long-unsigned capture_time:structure",
        "reset",
    ),
    (
        90,
        1,
        "G3-PLC MAC layer counters",
        "mac_tx_data_packet_count:double-long-unsigned mac_rx_data_packet_count:double-long-unsigned"
        " mac_tx_cmd_packet_count:double-long-unsigned mac_rx_cmd_packet_count:double-long-unsigned"
        " mac_csma_fail_count:double-long-unsigned mac_csma_no_ack_count:double-long-unsigned"
        " mac_bad_crc_count:double-long-unsigned mac_tx_data_broadcast_count:double-long-unsigned"
        " mac_rx_data_broadcast_count:double-long-unsigned",
        "reset",
    ),
    (
        100,
        0,
        "NTP setup",
        "activated:boolean server_address:octet-string server_port:long-unsigned authentication_method:enum"
        " authentication_keys:array client_key:octet-string",
        "synchronize add_authentication_key delete_authentication_key",
    ),
    (
        151,
        0,
        "LTE monitoring",
        "lte_network_parameters:structure lte_quality_of_service:structure",
        "",
    ),
)
