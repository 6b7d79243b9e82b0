"""All that depends on a photo's size, in tiles of one shape."""
