"""Names of the metrics that a model pod exports and the dashboards read."""

from typing import Final

FETCHER_DOWNLOADED_BYTES: Final = "qwen_fetcher_downloaded_bytes"
"""Bytes of the weights that lie in the cache by now, those of earlier runs included."""
FETCHER_TOTAL_BYTES: Final = "qwen_fetcher_total_bytes"
FETCHER_DOWNLOADED_FILES: Final = "qwen_fetcher_downloaded_files"
FETCHER_TOTAL_FILES: Final = "qwen_fetcher_total_files"
FETCHER_RETRIES: Final = "qwen_fetcher_retries_total"
"""Requests that were repeated."""
