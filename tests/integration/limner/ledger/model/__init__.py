"""A simple model of the ledger, and the moves that may happen to it in any order."""
