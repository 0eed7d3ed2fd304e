"""Only hosts on the internet are public, whatever an address carries inside."""

import ipaddress

import pytest

from limner._fetch.addresses import LOCAL, METADATA, NOT_PUBLIC, is_local, is_public

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
)
LOCAL_ONLY = (
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
)
NEVER = (
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::7f00:1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fd00::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_host_on_the_internet_is_public_and_not_local(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert (is_public(address), is_local(address)) == (True, False)


@pytest.mark.parametrize("text", LOCAL_ONLY)
def test_a_private_address_is_local_and_not_public(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert (is_public(address), is_local(address)) == (False, True)


@pytest.mark.parametrize("text", NEVER)
def test_an_address_of_no_host_is_neither(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert (is_public(address), is_local(address)) == (False, False)


@pytest.mark.parametrize("network", {*NOT_PUBLIC, *LOCAL})
def test_neither_end_of_a_special_network_is_public(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    assert not is_public(network[0])
    assert not is_public(network[-1])


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_is_not_even_local(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert not is_local(address)
