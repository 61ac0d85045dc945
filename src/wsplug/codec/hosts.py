"""
IP addresses, as peers and proxies write them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["Host", "parse_host"]

Host = IPv4Address | IPv6Address


def parse_host(text: str) -> Host | None:
    """
    Parse an address, and drop its scope. IPv4-mapped IPv6 addresses, as dual-stack
    sockets report them, become IPv4 addresses.

    @return: C{None} if the text isn't an address.
    """
    try:
        host = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped
    return host
