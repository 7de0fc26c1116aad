"""How the operator holds up: latency, writes when quiet, memory and convergence."""
