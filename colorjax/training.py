"""The pure training step."""
