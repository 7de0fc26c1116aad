"""End-to-end: a Kubernetes cluster for tests and demonstrations, and what runs on it."""
