"""Copies of images, without a process or a socket."""
