"""Tinted photos: is there colour, or only a tone on a gray photo; pure NumPy."""
