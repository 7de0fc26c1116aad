"""What the exit status of the command means."""

OK = 0
"""At least one row fits."""
BAD_INPUT = 1
"""The input or the usage is wrong; one sentence on standard error says how."""
NOTHING_FITS = 2
"""The input is right, and no card can serve it."""
NOT_READY = 3
"""What was asked about is not Ready (yet)."""
INTERRUPTED = 130
"""The user pressed Ctrl-C."""
