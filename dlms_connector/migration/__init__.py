"""From the old bridge to `dlms.json`: its database and the gateway's MQTT mapping.

The bridge was a service that polled meters and published over MQTT. `read_bridge` and
`read_mapping` read what it left, `migrate` makes the new configuration of it, in which devices and
keys have the names that they have on the platform. `leftovers` says what is of no use afterwards.
Nothing is written before `write`, which never overwrites; nothing is ever removed.
"""

from dlms_connector.migration.bridge import Bridge, MigrationError, OldMeasurement, OldMeter
from dlms_connector.migration.database import read_bridge
from dlms_connector.migration.leftovers import BROKER_PORT, SERVICES, Host, leftovers
from dlms_connector.migration.mapping import Mapped, read_mapping
from dlms_connector.migration.plan import Migration, Moved, migrate
from dlms_connector.migration.writing import write

__all__ = [
    "BROKER_PORT",
    "SERVICES",
    "Bridge",
    "Host",
    "Mapped",
    "Migration",
    "MigrationError",
    "Moved",
    "OldMeasurement",
    "OldMeter",
    "leftovers",
    "migrate",
    "read_bridge",
    "read_mapping",
    "write",
]
