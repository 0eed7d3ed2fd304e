"""Quotas, pauses and back-off, from the settings and the provider's answers."""
