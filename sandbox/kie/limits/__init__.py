"""Limits on calls: their windows, their keys, and the peaks that callers reached."""
