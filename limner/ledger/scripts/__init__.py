"""The ledger's scripts: their assembly from Lua, and the typed calls that send them."""
