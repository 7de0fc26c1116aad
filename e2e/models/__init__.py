"""Models small enough for tests."""
