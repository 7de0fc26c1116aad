"""Whether a request is lost while pods are drained and replaced."""
