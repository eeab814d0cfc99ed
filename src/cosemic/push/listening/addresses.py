"""Addresses of peers and of our own ports, in words."""

from __future__ import annotations

import errno
import ipaddress

from cosemic.errors import LinkError
from cosemic.push.listening.urls import SourceUrl


def network_of(host: str) -> str:
    """What is counted as one address: an IPv4 address, or the /64 network of an IPv6 one."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"


def plain_address(host: str) -> str:
    """The address of a peer as it is written: without a zone, IPv4 where it is one in the clothes of IPv6."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address)


def place_of(kind: str, address: tuple[object, ...]) -> str:
    """``tcp://192.0.2.7:4059``, from the address of a socket."""
    host = plain_address(str(address[0]))
    return f"{kind}://[{host}]:{address[1]}" if ":" in host else f"{kind}://{host}:{address[1]}"


def cannot_listen(url: SourceUrl, error: OSError) -> LinkError:
    """Why a port cannot be listened on, and what to do."""
    place = f"cannot listen on {url}"
    code = error.errno
    if code == errno.EADDRNOTAVAIL or "could not bind on any address" in str(error):
        host = f"[{url.host}]" if ":" in url.host else url.host
        there = "" if url.kind == "udp" else f"; to connect to a device there write connect+tcp://{host}:{url.port}"
        return LinkError(f"{place}: {url.host} is no address of this machine; 0.0.0.0 stands for all of its own{there}")
    if code == errno.EADDRINUSE:
        return LinkError(f"{place}: another program listens there; end it, or take another port (0 is any free one)")
    if code == errno.EACCES:
        return LinkError(f"{place}: ports below 1024 need rights of their own; take another one, such as 4059")
    return LinkError(f"{place}: {error.strerror or error}")
