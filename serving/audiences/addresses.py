"""Which network addresses an export may go to: public ones, and those of the networks that the operator lists.

A name is looked up once, and the address that was looked at is the one that is connected to: a name that later means
another address (DNS rebinding) leads nowhere else.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from feature_repo.contracts.errors import FoundError
from serving.audiences.errors import ExportAddressRefused

LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Addresses:
    """Public addresses, and `networks`."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """A connection to the first allowed address that takes one. Raises ExportAddressRefused, OSError."""
        for at, address in enumerate(allowed := self.of(host, port), start=1):
            try:
                return socket.create_connection((address, port), timeout=seconds)
            except OSError:
                if at == len(allowed):
                    raise
        raise AssertionError("a host has an address, or `of` raises")

    def of(self, host: str, port: int) -> list[str]:
        """The allowed addresses of a host. Raises ExportAddressRefused where it has others alone, OSError for none."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if allowed := [address for address in addresses if self.allow(address)]:
            return allowed
        raise ExportAddressRefused(f"{host} has the address {', '.join(addresses)}, which is not public.")

    def allow(self, address: str) -> bool:
        found = _meant(ip_address(address))
        return (found.is_global and not found.is_multicast) or any(found in network for network in self.networks)


def networks_of(names: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks by their names. Raises FoundError for what is none."""
    try:
        return tuple(ip_network(name) for name in names)
    except ValueError as error:
        raise FoundError(f"export_networks holds networks such as 10.1.0.0/16 between commas: {error}.") from error


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address behind one that carries another: IPv4 as IPv6, and what NAT64, 6to4 and Teredo lead to."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
