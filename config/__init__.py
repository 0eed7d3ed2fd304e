"""How Limner is set."""

from config.settings import Settings, SettingsError, load

__all__ = ["Settings", "SettingsError", "load"]
