"""The ledger's data layout, written down once.

The scripts' side of it is generated from here (``limner.ledger.scripts.assembly``), a test compares the list with
what the scripts really use, and the tables in ``docs/ledger.md`` are made from it (``python -m
limner.ledger``).
"""
