"""Training: the objective, the optimizer, the pure step, and the loop around them.

Read `step` first, with `losses` and `optimizer`: state in, state out, no files. `loop` runs it: chunks of steps,
evaluations, checkpoints. `compiled` holds the jitted functions, `devices` distributes the work, `runs` and
`checkpoint` manage the run folder, `log` writes metrics and pictures, `encoder` reads the pretrained encoder. This
package imports `data`, `evaluation`, `networks`, `weights` and what they import.
"""
