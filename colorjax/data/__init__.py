"""Photos for training: which there are, in what order they come, and how they are changed.

Read `datasets` first: it reads the photos of folders. `order` splits and shuffles them, `loader` makes batches
ahead of the step, `augment` holds the pure functions that make views and old photos of them. This wing imports
`photos`, `evaluation.metrics` and `color`; `augment` and `order` know no files.
"""
