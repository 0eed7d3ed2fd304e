"""A simple model of the ledger, and all that may happen to it in any order."""
