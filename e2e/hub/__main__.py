"""python -m e2e.hub: serve folders as repositories of a Hugging Face hub."""

import argparse
from pathlib import Path

from e2e.hub.server import Hub


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.hub",
        description="Serve <DIR>/<organisation>/<name>/ as repositories of a Hugging Face hub, "
        "branch main. A client finds it with HF_ENDPOINT=http://ADDRESS:PORT.",
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="default 127.0.0.1")
    parsed = parser.parse_args()
    hub = Hub(parsed.folder, address=parsed.address, port=parsed.port)
    print(f"serving {parsed.folder} at {hub.url}", flush=True)
    try:
        hub.serve()
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
