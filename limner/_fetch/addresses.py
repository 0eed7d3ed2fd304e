"""The addresses to which a connection may be made.

The standard library is asked as well, but does not suffice: Python 3.11 takes 64:ff9b::7f00:1, 2002:7f00:1::
and ::7f00:1 for global, although a gateway turns each of them into 127.0.0.1.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


NOT_PUBLIC: Final = _networks(
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local, with the metadata services
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "2001::/23",  # protocol assignments, with Teredo and ORCHID
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
"""IANA's registries of special-purpose addresses, as of November 2026; of IPv6, those within 2000::/3."""

UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The only public part of IPv6. Outside of it are ::, ::1, mapped and compatible IPv4 addresses, NAT64
(64:ff9b::/96 and 64:ff9b:1::/48), fc00::/7, fe80::/10, fec0::/10 and ff00::/8."""

LOCAL: Final = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)
"""The networks in which an operator's own hosts live."""

METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "168.63.129.16",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ),
    )
)
"""The metadata services of Azure, of most clouds, Alibaba, Oracle, and of AWS and Google over IPv6. The first
lies in a public network, others in networks of LOCAL."""

_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""The third quarter of an address that carries an IPv4 address in its last one, in any network."""


def is_public(address: Address) -> bool:
    """True for the address of a host on the internet that carries no other address inside."""
    if address in METADATA or not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inside = address in UNICAST and address.scope_id is None
        if not inside or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    return not any(address in network for network in NOT_PUBLIC)


def is_local(address: Address) -> bool:
    """True for an address in a private network, or of this machine; never for a metadata service."""
    if address in METADATA or (isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None):
        return False
    return any(address in network for network in LOCAL)
