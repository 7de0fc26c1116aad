"""What the operator and the programs in a model pod agree on; standard library only.

Both sides may be of different releases, so every file says its format, and a reader accepts the
format before its own as well.
"""
