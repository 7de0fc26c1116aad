"""Init container of a model pod: brings the weights into the cache, or checks those that lie there.

`fetch` and `check` are the two entries; which files, what to evict, how long to wait and what an
answer of the hub means are decided by pure functions beside them.
"""
