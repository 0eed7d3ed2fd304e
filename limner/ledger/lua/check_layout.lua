-- Uses: layout.
-- Asks whether the ledger has this layout. Returns 1, or the error that says what it has.
return other_layout() or 1
