"""The seed's loss and the training objectives."""
