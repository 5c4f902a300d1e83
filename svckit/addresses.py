"""Addresses that servers listen on and clients connect to: ``host:port``."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """A host and a TCP port.

    Attributes:
        host: A name, an IPv4 address, or an IPv6 address without brackets.
        port: The port; 0 takes a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Returns the address that a text such as ``127.0.0.1:50051`` or ``[::1]:0`` names.

        Raises:
            ValueError: The text is no such address.
        """
        host, separator, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not separator or not bare or not port.isdecimal() or int(port) > 0xFFFF:
            raise ValueError(f"{text!r} is not an address: write host:port, such as 127.0.0.1:7101")
        if ":" in bare and not host.startswith("["):
            raise ValueError(f"{text!r} is ambiguous: write [host]:port for IPv6")
        return cls(bare, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
