"""A real Kubernetes on one bare Linux machine, or the cluster that KUBECONFIG names."""
