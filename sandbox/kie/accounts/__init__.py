"""Accounts: whose key calls, how often, and with how many credits."""
