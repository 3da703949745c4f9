"""The settings: one YAML file, environment over it, every key known and described.

`read_settings` is called by the command line and by tests; `gateway.app` turns the result into running parts.
"""

from gateway.settings.reading import PREFIX, read_settings
from gateway.settings.sections import QueueSettings, Settings, StoreSettings
from gateway.settings.units import Percent, Seconds, seconds

__all__ = ["PREFIX", "Percent", "QueueSettings", "Seconds", "Settings", "StoreSettings", "read_settings", "seconds"]
