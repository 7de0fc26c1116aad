"""Names of the metrics that a pod's programs export, for dashboards, alerts and the operator."""

from typing import Final

# The fetcher's.
FETCHER_DOWNLOADED_BYTES: Final = "qwen_fetcher_downloaded_bytes"
"""Bytes of the weights that lie in the cache by now, those of earlier runs included."""
FETCHER_TOTAL_BYTES: Final = "qwen_fetcher_total_bytes"
FETCHER_DOWNLOADED_FILES: Final = "qwen_fetcher_downloaded_files"
FETCHER_TOTAL_FILES: Final = "qwen_fetcher_total_files"
FETCHER_RETRIES: Final = "qwen_fetcher_retries_total"
"""Requests that were repeated."""

# The launcher's. Gauges unless the name ends in _total.
REPLICA_STATE: Final = "qwen_replica_state"
"""1 for the state that a replica is in; label ``state``, a `qwen_contract.report.State`."""
START_PHASE_SECONDS: Final = "qwen_start_phase_seconds"
"""Label ``phase``; phases that begin with Launcher are ours, the others vLLM's."""
START_SECONDS: Final = "qwen_start_seconds"
"""From the start of the container to readiness."""
COMPILE_CACHE_HIT: Final = "qwen_compile_cache_hit"
"""1 when vLLM found its compiled graphs, 0 when it made them."""

# Of each card; labels ``gpu`` (index) and ``uuid``.
GPU_UTILIZATION_RATIO: Final = "qwen_gpu_utilization_ratio"
GPU_MEMORY_USED_BYTES: Final = "qwen_gpu_memory_used_bytes"
GPU_MEMORY_PEAK_BYTES: Final = "qwen_gpu_memory_peak_bytes"
"""The most that was in use since readiness."""
GPU_MEMORY_TOTAL_BYTES: Final = "qwen_gpu_memory_total_bytes"
"""What CUDA can use of the card."""
GPU_TEMPERATURE_CELSIUS: Final = "qwen_gpu_temperature_celsius"
GPU_POWER_WATTS: Final = "qwen_gpu_power_watts"
GPU_POWER_LIMIT_WATTS: Final = "qwen_gpu_power_limit_watts"
GPU_THROTTLED: Final = "qwen_gpu_throttled"
"""1 while the card slows itself down; label ``reason``."""
GPU_XID_ERRORS_TOTAL: Final = "qwen_gpu_xid_errors_total"
"""Errors that the driver reports; label ``xid``, NVIDIA's number."""
