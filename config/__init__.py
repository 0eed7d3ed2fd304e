"""How Limner is set."""

from config.accounts import AccountSettings
from config.settings import Settings, SettingsError, load

__all__ = ["AccountSettings", "Settings", "SettingsError", "load"]
