"""Accounts: their keys, credits, limits and calls."""
