"""PID 1 of the model container."""
