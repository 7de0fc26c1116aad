import re

import pytest

from qwen_runtime.fetcher.metrics import format_metrics
from qwen_runtime.fetcher.progress import Counts, format_progress, is_line_due

GIB = 1 << 30
COUNTS = Counts(bytes=2 * GIB, total_bytes=8 * GIB, files=3, total_files=7, retries=1)


def test_a_line_says_files_bytes_speed_and_time_left() -> None:
    assert format_progress(COUNTS, rate_bytes_per_second=100e6) == (
        "3 of 7 files, 2.00 of 8.00 GiB (25 %), 100.0 MB/s, 64 s left"
    )


def test_a_download_that_stands_still_says_so() -> None:
    assert format_progress(COUNTS, rate_bytes_per_second=0).endswith("0.0 MB/s, stalled")


@pytest.mark.parametrize(
    ("seconds", "share", "due"),
    [(5, 0.0, True), (1, 0.05, True), (0.5, 0.9, False), (4, 0.01, False)],
)
def test_a_line_comes_every_five_seconds_or_five_per_cent(
    seconds: float, share: float, due: bool
) -> None:
    assert is_line_due(seconds, share) == due


def test_metrics_are_one_line_each_with_a_type() -> None:
    lines = format_metrics(COUNTS).splitlines()
    assert f"qwen_fetcher_downloaded_bytes {2 * GIB}" in lines
    assert "# TYPE qwen_fetcher_retries_total counter" in lines
    assert all(re.fullmatch(r"# TYPE \w+ (gauge|counter)|\w+ \d+", line) for line in lines)
