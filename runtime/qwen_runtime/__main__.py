"""Entry point of our image: ``python -m qwen_runtime COMMAND``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from qwen_contract import pod
from qwen_contract.failure import Failure, FailureReason, Stage, write_failure
from qwen_contract.fetched import Fetched, write_fetched

_DESCRIPTION = """Programs of a model pod. The operator starts them as init containers; by hand:

  python -m qwen_runtime fetch --repository Qwen/Qwen3-4B --revision main \\
      --cache /var/cache/qwen --record /tmp/model.json
  python -m qwen_runtime check --folder /data/qwen3-4b --record /tmp/model.json
"""
_FETCH = """Bring one revision of a model into the cache DIR/huggingface, complete and verified.

What a branch or tag means is asked once and kept: later starts serve the same commit, and need no
network when the cache has it. What has arrived of an interrupted download is used by the next one.

Environment: HF_TOKEN, HTTPS_PROXY and NO_PROXY, SSL_CERT_FILE (more authorities, PEM).
"""
_CHECK = """Check weights that lie in a folder: config.json, every shard of the index, the header of
every shard, and SHA256SUMS where it lies beside them. Hashes are computed once and noted in the
folder; on a read-only volume at each start, up to 4 GiB of weights."""
_EPILOG = """Exit status: 0 done; 1 a failure, told in one sentence on stderr and typed in the
termination log; 143 ended by SIGTERM, to be continued by the next start."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parsed = _parser().parse_args(arguments)
    return int(parsed.run(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qwen_runtime",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_install_launcher(commands)
    _add_fetch(commands)
    _add_check(commands)
    return parser


def _add_install_launcher(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        pod.INSTALL_LAUNCHER,
        help="copy the launcher, one file, to where vLLM's container finds it",
    )
    parser.add_argument("target", type=Path, metavar="PATH")
    parser.set_defaults(run=_install_launcher)


def _add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        pod.FETCH_WEIGHTS,
        help="bring a model into the cache",
        description=_FETCH,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--repository", type=_repository, required=True, metavar="ORG/NAME", help="of the hub"
    )
    parser.add_argument(
        "--revision", type=_revision, required=True, metavar="REV", help="branch, tag or commit"
    )
    parser.add_argument(
        "--endpoint",
        type=_endpoint,
        metavar="URL",
        help="of a mirror; default https://huggingface.co or https://modelscope.cn",
    )
    parser.add_argument(
        "--hub", choices=("huggingface", "modelscope"), default="huggingface", help="its protocol"
    )
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="kept for later")
    parser.add_argument(
        "--quota-bytes",
        type=int,
        metavar="N",
        help="weights in the cache take no more: other models go, the least recently used first; "
        "default no limit but the disk, and nothing goes",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        default=pod.LAUNCHER_PORT,
        metavar="N",
        help="of /metrics while a download runs; 0 for any; default %(default)s",
    )
    _add_outputs(parser)
    parser.set_defaults(run=_fetch)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        pod.CHECK_WEIGHTS,
        help="check weights that lie there already",
        description=_CHECK,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    _add_outputs(parser)
    parser.set_defaults(run=_check)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record", type=Path, required=True, metavar="FILE", help="written when all is well"
    )
    parser.add_argument(
        "--termination-log",
        type=Path,
        default=Path(pod.TERMINATION_LOG),
        metavar="FILE",
        help="of the container; default %(default)s",
    )


def _repository(text: str) -> str:
    from qwen_runtime.fetcher.files import is_repository

    if not is_repository(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not ORGANISATION/NAME")
    return text


def _revision(text: str) -> str:
    from qwen_runtime.fetcher.files import is_revision

    if not is_revision(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no branch, tag or commit")
    return text


def _endpoint(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with https:// or http://")
    return text.rstrip("/")


def _install_launcher(parsed: argparse.Namespace) -> int:
    from qwen_runtime.install_launcher import install_launcher

    install_launcher(parsed.target)
    return 0


def _fetch(parsed: argparse.Namespace) -> int:
    from qwen_runtime.fetcher.failures import Wanted
    from qwen_runtime.fetcher.fetch import FetchOptions, fetch
    from qwen_runtime.fetcher.hubs import DEFAULT_ENDPOINTS, FIELDS, connect

    token = os.environ.get(pod.TOKEN_VARIABLE)
    wanted = Wanted(
        repository=parsed.repository,
        revision=parsed.revision,
        endpoint=parsed.endpoint or DEFAULT_ENDPOINTS[parsed.hub],
        has_token=bool(token),
        field=FIELDS[parsed.hub],
    )
    options = FetchOptions(
        wanted=wanted,
        cache=parsed.cache,
        quota_bytes=parsed.quota_bytes,
        metrics_port=parsed.metrics_port,
    )
    return _run(
        parsed, Stage.FETCH, lambda: fetch(options, lambda: connect(parsed.hub, wanted, token))
    )


def _check(parsed: argparse.Namespace) -> int:
    from qwen_runtime.fetcher.check import check

    return _run(parsed, Stage.CHECK, lambda: check(parsed.folder))


def _run(parsed: argparse.Namespace, stage: Stage, work: Callable[[], Fetched]) -> int:
    """Write the record, or the termination message and its sentence."""
    from qwen_runtime.fetcher.failures import FetchFailed, explain_os_error
    from qwen_runtime.fetcher.storage import write_whole

    signal.signal(signal.SIGTERM, _end)
    try:
        write_whole(parsed.record, write_fetched(work()))
    except FetchFailed as failed:
        return _fail(parsed, Failure(reason=failed.reason, stage=stage, message=str(failed)))
    except OSError as error:
        folder = parsed.cache if stage is Stage.FETCH else parsed.folder
        explained = explain_os_error(error, str(folder))
        return _fail(parsed, Failure(reason=explained.reason, stage=stage, message=str(explained)))
    except Exception as error:
        message = f"a fault of this program ({type(error).__name__}: {error}); please report it"
        lines = tuple(traceback.format_exception(error))
        return _fail(
            parsed, Failure(reason=FailureReason.UNKNOWN, stage=stage, message=message, log=lines)
        )
    return 0


def _fail(parsed: argparse.Namespace, failure: Failure) -> int:
    print(f"{failure.reason.value}: {failure.message}", file=sys.stderr, flush=True)
    try:
        parsed.termination_log.write_text(write_failure(failure))
    except OSError as error:
        print(f"{parsed.termination_log} cannot be written: {error.strerror}", file=sys.stderr)
    return 1


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End at once: everything on the disk is either whole or may be continued."""
    os.write(2, b"ended by SIGTERM; the next start goes on from here\n")
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
