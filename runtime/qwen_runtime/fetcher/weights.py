"""Whether a folder holds all that vLLM loads: config, whole shards, and each one that an index
lists."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher import safetensors
from qwen_runtime.fetcher.failures import FetchFailed
from qwen_runtime.fetcher.files import CONFIG_FILE, INDEX_FILE, SHARD_SUFFIX, is_needed


def check_complete(folder: Path, place: str) -> tuple[Path, ...]:
    """The files that vLLM reads, once their names are all there; opens no shard.

    ``place`` is the name of the folder in messages. Raises `FetchFailed`.
    """
    files = tuple(sorted(each for each in folder.iterdir() if is_needed(each.name)))
    names = {file.name for file in files if file.is_file()}
    check_names(names, place)
    if INDEX_FILE in names:
        try:
            listed = safetensors.read_index((folder / INDEX_FILE).read_text(encoding="utf-8"))
        except ValueError as error:
            raise FetchFailed(
                FailureReason.WEIGHTS_CORRUPT,
                f"{INDEX_FILE} of {place} is damaged: {error}; put a whole one there",
            ) from None
        if missing := safetensors.find_missing_shards(listed, names):
            raise _missing(
                f"{place} lacks {len(missing)} of the {len(listed)} shards that {INDEX_FILE} "
                f"lists, {missing[0]} first"
            )
    return tuple(file for file in files if file.name in names)


def check_names(names: Collection[str], place: str) -> None:
    """There must be a config and weights at all. Raises `FetchFailed`."""
    if CONFIG_FILE not in names:
        raise _missing(f"{place} has no {CONFIG_FILE}")
    if not any(name.endswith(SHARD_SUFFIX) for name in names):
        raise _missing(f"{place} has no {SHARD_SUFFIX} file, and vLLM is given no other format")


def check_headers(files: tuple[Path, ...], place: str) -> None:
    """Every shard must be as long as its header says. Raises `FetchFailed`."""
    for file in files:
        if file.suffix == SHARD_SUFFIX and (flaw := safetensors.find_flaw(file)) is not None:
            raise FetchFailed(
                FailureReason.WEIGHTS_CORRUPT,
                f"{file.name} of {place} is no whole safetensors file: {flaw}; "
                "copy or publish it again",
            )


def _missing(what: str) -> FetchFailed:
    return FetchFailed(
        FailureReason.WEIGHTS_MISSING,
        f"{what}; serve a repository or folder with a whole model in safetensors",
    )
