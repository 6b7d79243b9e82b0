"""Resizing by matrices."""
