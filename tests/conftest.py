"""Settings of all tests."""

from hypothesis import settings

# A slow example is no failure: speed belongs in benchmarks, and machines are busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
