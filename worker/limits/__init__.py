"""Quotas, pauses and back-off, as settings and answers of the provider say."""
