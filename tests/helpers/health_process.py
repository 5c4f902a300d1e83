"""A tiny server process: `health_process.py READY_FILE PORT MODE`, for tests of who runs processes.

MODE is "serve", or "fail": then it ends at once with an error in its log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def main() -> int:
    """Serves health until SIGTERM."""
    ready, port, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if mode == "fail":
        entry = {"event": "cannot start", "problem": "the moon is full", "level": "error"}
        sys.stderr.write(json.dumps(entry) + "\n")
        return 3
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    scratch = ready.with_suffix(".new")
    scratch.write_text(json.dumps({"address": f"127.0.0.1:{bound}", "pid": os.getpid()}))
    scratch.replace(ready)
    signal.sigwait({signal.SIGTERM})
    sys.stderr.write("told to stop\n")
    server.stop(0).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
