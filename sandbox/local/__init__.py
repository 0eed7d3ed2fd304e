"""A fleet on this machine: an embedded Valkey, and the processes of Limner."""
