"""The settings of the fleet, and the options of Celery that follow from them."""

from config.accounts import AccountSettings
from config.settings import Settings, SettingsError, load

__all__ = ["AccountSettings", "Settings", "SettingsError", "load"]
