"""Which hosts and serial ports meters may be pointed at, whatever a configuration says.

Who has taken over the platform writes the configuration, and the gateway writes it to a file whose
name the platform chooses too. So the list is in no file that the gateway's user may write, but in
the environment of its process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

#: The variable that holds the list, separated by commas or spaces.
VARIABLE = "DLMS_ALLOW_HOSTS"
_NAME = re.compile(r"[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*")


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """A list of networks, host names and serial ports; nothing else may be connected to."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    #: In lower case; `*` stands for anything, in ports too.
    names: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    #: What is none of these: it allows nothing.
    wrong: tuple[str, ...] = ()

    def takes_name(self, host: str) -> bool:
        """Whether a host name is on the list, and so each address that it stands for."""
        named = host.rstrip(".").lower()
        return any(fnmatchcase(named, each) for each in self.names)

    def takes_address(self, address: str) -> bool:
        """Whether an IP address is in one of the networks."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self.networks)

    def takes_host(self, host: str) -> bool:
        """Whether a host is on the list, by its name or, if it is a number, by its address."""
        return self.takes_address(host) or self.takes_name(host)

    def takes_port(self, port: str) -> bool:
        """Whether a serial port is on the list, by the name under which it is configured."""
        return ".." not in port.split("/") and any(fnmatchcase(port, each) for each in self.ports)


def allowed_hosts(environment: Mapping[str, str] | None = None) -> AllowedHosts | None:
    """Return what this process may connect to; None if nobody has limited it."""
    text = (os.environ if environment is None else environment).get(VARIABLE, "")
    return _parsed(text) if text.strip() else None


@lru_cache(maxsize=4)
def _parsed(text: str) -> AllowedHosts:
    networks, names, ports, wrong = [], [], [], []
    for entry in re.split(r"[,\s]+", text.strip(", \t\r\n")):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            if entry.startswith("/"):
                ports.append(entry)
            elif _NAME.fullmatch(entry) and not entry.replace(".", "").isdigit():
                names.append(entry.lower())
            else:
                wrong.append(entry)
    return AllowedHosts(tuple(networks), tuple(names), tuple(ports), tuple(wrong))
