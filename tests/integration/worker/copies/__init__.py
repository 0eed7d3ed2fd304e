"""Copies of images, with real stores."""
