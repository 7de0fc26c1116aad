"""Asks real vLLM argument parsers whether they accept the flags that the operator emits.

The planner's flags are only worth something if the pinned vLLM takes them, and a parser is the
cheapest witness: no GPU, no model, no torch. ``install`` builds one cached environment per
pinned version, ``check`` puts argument lists to it. This file imports nothing, because the
worker that runs inside those environments passes through it.
"""
