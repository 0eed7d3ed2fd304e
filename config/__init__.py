"""How Limner is set."""

from config.accounts import Account
from config.settings import Settings, SettingsError, load

__all__ = ["Account", "Settings", "SettingsError", "load"]
