import re
import signal
from pathlib import Path

import httpx2
import pytest

from e2e.cluster.certificates import Authority
from e2e.hub.faults import Fault
from e2e.hub.server import Hub
from qwen_contract.failure import FailureReason, Stage
from qwen_contract.pod import CA_BUNDLE_VARIABLE, TOKEN_VARIABLE
from tests.runtime.fetcher.running import (
    REPOSITORY,
    SHARD,
    FetchProcess,
    partial_bytes,
    wait_until,
)

CONTENT = f"/content/{REPOSITORY}/{SHARD}"
TOKEN = "hf_of_the_test"  # noqa: S105 it opens nothing


def metric(port: int, name: str) -> int:
    page = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    match = re.search(rf"^{name} (\d+)$", page, re.MULTILINE)
    assert match is not None
    return int(match[1])


def told(pattern: str, *processes: FetchProcess) -> list[str]:
    """What their logs say so far."""
    return re.findall(pattern, "".join(line for each in processes for line in list(each.lines)))


def test_sigterm_ends_at_once_and_the_next_start_goes_on(
    hub: Hub, model: Path, tmp_path: Path, cache: Path
) -> None:
    slow = hub.faults.add(Fault(path=CONTENT, bytes_per_second=10_000, times=None))
    first = FetchProcess(hub.url, tmp_path / "first", cache)
    wait_until(lambda: partial_bytes(cache, model / SHARD) > 1_000)
    first.process.send_signal(signal.SIGTERM)
    ended = first.wait()
    assert (ended.status, ended.failure, ended.record) == (143, None, None)
    assert "the next start goes on from here" in ended.output
    arrived_bytes = partial_bytes(cache, model / SHARD)
    assert arrived_bytes > 1_000

    slow.times = slow.struck
    again = FetchProcess(hub.url, tmp_path / "second", cache).wait()
    assert again.status == 0
    assert hub.downloads(CONTENT)[-1].first_byte == arrived_bytes
    assert again.record is not None
    total_bytes = sum(file.stat().st_size for file in model.iterdir())
    assert again.record.downloaded_bytes <= total_bytes - arrived_bytes


def test_two_pods_that_share_a_cache_download_once_and_tell_their_progress(
    hub: Hub, tmp_path: Path, cache: Path
) -> None:
    slow = hub.faults.add(Fault(path=CONTENT, bytes_per_second=10_000, times=None))
    one = FetchProcess(hub.url, tmp_path / "one", cache)
    two = FetchProcess(hub.url, tmp_path / "two", cache)
    wait_until(lambda: told(r"waiting for it", one, two) and told(r"metrics at port", one, two))
    [port] = map(int, told(r"metrics at port (\d+)", one, two))
    total_bytes = metric(port, "qwen_fetcher_total_bytes")
    assert 0 <= metric(port, "qwen_fetcher_downloaded_bytes") <= total_bytes
    slow.bytes_per_second = None
    ended = [one.wait(), two.wait()]
    assert [each.status for each in ended] == [0, 0]
    records = [each.record for each in ended if each.record is not None]
    assert sorted(record.downloaded_bytes for record in records) == [0, total_bytes]
    assert len({record.folder for record in records}) == 1
    assert len(hub.downloads(CONTENT)) == 1


def test_a_failure_is_one_sentence_and_a_typed_message_without_the_token(
    hub: Hub, tmp_path: Path, cache: Path
) -> None:
    hub.gated[REPOSITORY] = "another"
    ended = FetchProcess(hub.url, tmp_path / "run", cache, {TOKEN_VARIABLE: TOKEN}).wait()
    assert ended.status == 1
    assert ended.failure is not None
    assert (ended.failure.reason, ended.failure.stage) == (
        FailureReason.ACCESS_DENIED,
        Stage.FETCH,
    )
    assert ended.output.strip() == f"AccessDenied: {ended.failure.message}"
    assert TOKEN not in ended.output


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def tls_hub(model: Path, authority: Authority) -> Hub:
    pair = authority.issue("hub", "hub", hosts=["127.0.0.1"])
    return Hub(model.parents[1], certificate=(pair.certificate, pair.key))


def test_a_hub_of_a_private_authority_is_trusted_with_its_bundle_alone(
    tls_hub: Hub, authority: Authority, tmp_path: Path, cache: Path
) -> None:
    bundle = {CA_BUNDLE_VARIABLE: str(authority.files.certificate)}
    with tls_hub as hub:
        without = FetchProcess(hub.url, tmp_path / "without", cache)
        refused = without.wait()
        accepted = FetchProcess(hub.url, tmp_path / "with", cache, bundle).wait()
    assert refused.failure is not None
    assert refused.failure.reason is FailureReason.DOWNLOAD_FAILED
    assert "spec.source.caBundle" in refused.failure.message
    assert accepted.status == 0


@pytest.mark.parametrize("content", [None, "no certificates"])
def test_a_bundle_without_certificates_is_named(
    tls_hub: Hub, tmp_path: Path, cache: Path, content: str | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with tls_hub as hub:
        variables = {CA_BUNDLE_VARIABLE: str(bundle)}
        ended = FetchProcess(hub.url, tmp_path / "run", cache, variables).wait()
    assert ended.failure is not None
    assert str(bundle) in ended.failure.message
    assert "spec.source.caBundle" in ended.failure.message


def test_a_proxy_of_the_environment_is_used(hub: Hub, tmp_path: Path, cache: Path) -> None:
    ended = FetchProcess(
        "http://hub.invalid", tmp_path / "run", cache, {"HTTP_PROXY": hub.url}
    ).wait()
    assert ended.status == 0, ended.output
    assert {each.host for each in hub.requests} == {"hub.invalid"}
