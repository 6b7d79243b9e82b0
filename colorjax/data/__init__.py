"""Photos for training: which photos there are, in what order they come, and how they are augmented.

Start with `datasets`, which reads the photos of folders. `packed` keeps decoded photos in a memory-mapped file, `order`
splits and shuffles photos, `loader` prepares batches ahead of the step, and `augment` holds pure functions that make
random views and old photos. This package imports `photos`, `evaluation.metrics` and `color`. `augment` and `order` read
no files.
"""
