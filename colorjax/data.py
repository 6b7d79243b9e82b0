"""Which photos, their split and order."""
