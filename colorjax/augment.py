"""Augmentation: keyed, pure."""
