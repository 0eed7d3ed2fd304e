"""Limits on calls: windows, keys, and how close to them callers came."""
