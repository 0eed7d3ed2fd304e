"""The ledger's data layout, written down once.

The scripts' side of it is generated from here (``limner.ledger.scripts.assembly``), and so are the tables in
``docs/ledger.md`` (``python -m limner.ledger``). A test compares the lists with what the scripts really use.
"""
