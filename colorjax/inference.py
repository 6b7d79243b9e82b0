"""Colour at any size."""
