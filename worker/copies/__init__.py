"""Copies of paid images in the user's own storage."""
