"""Photo files: decode, encode, limits, search; the only user of Pillow and tifffile."""
