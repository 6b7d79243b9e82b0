"""Frozen configs and presets."""
