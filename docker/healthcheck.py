"""Whether the simulator of this container answers. Exit code 0: it does.

Looks at $SIMULATOR_HEALTH_URL, else at the port that the platform names (Cloud Foundry), else at 8080.
"""

import os
import sys
import urllib.request


def url() -> str:
    """Where the simulator tells of its health."""
    port = os.environ.get("PORT", "8080") if "VCAP_APPLICATION" in os.environ else "8080"
    return os.environ.get("SIMULATOR_HEALTH_URL") or f"http://127.0.0.1:{port}/healthz"


def main() -> int:
    """Ask once."""
    try:
        # No proxy of the environment stands between a container and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url(), timeout=4) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{url()}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
