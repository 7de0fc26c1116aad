"""Run a program to its end, and turn its failure into one clear message."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.cluster.errors import CommandFailed, MissingTool

_TAIL_LINES = 20


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 1800,
) -> str:
    """Run a command and return what it printed; raise CommandFailed with its last lines."""
    words = [str(word) for word in command]
    try:
        finished = subprocess.run(  # noqa: S603 - the words are ours, and no shell reads them
            words,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as missing:
        raise MissingTool(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{' '.join(words)} took over {timeout_seconds:.0f} s") from late
    if finished.returncode != 0:
        said = (finished.stdout + finished.stderr).strip().splitlines()[-_TAIL_LINES:]
        raise CommandFailed(
            f"{' '.join(words)} ended with {finished.returncode}\n  " + "\n  ".join(said)
        )
    return finished.stdout


def need(program: str, advice: str) -> str:
    """Path of a program, or MissingTool with advice."""
    found = shutil.which(program)
    if found is None:
        raise MissingTool(f"{program} is not installed; {advice}")
    return found
