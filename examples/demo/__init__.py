"""The demo: a whole fleet on this machine draws a dozen pictures and shows how it went."""
