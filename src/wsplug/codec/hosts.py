"""
IP addresses, as peers and proxies write them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["Host", "parse_host"]

Host = IPv4Address | IPv6Address


def parse_host(text: str) -> Host | None:
    """
    Read an address, without its scope where it has one. An IPv4 address in IPv6's
    clothes, as sockets of both kinds give it, is an IPv4 address.

    @return: C{None} where it is none.
    """
    try:
        host = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped
    return host
