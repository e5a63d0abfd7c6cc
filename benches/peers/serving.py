"""What the servers of all peers share: one SQL file name a line in, one JSON line out."""

import argparse
import json
import os
import pathlib
import socket
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def tables(data):
    """The name and the pattern of files of each table."""
    return {folder.name: f"{folder}/*.parquet" for folder in sorted(data.iterdir())}


def serve(run):
    """Answers until standard input ends. `run` takes SQL and gives the number of rows."""
    print(json.dumps({"processes": descendants(os.getpid())}), flush=True)
    for line in sys.stdin:
        sql = pathlib.Path(line.strip()).read_text().strip().rstrip(";")
        started = time.perf_counter()
        rows = run(sql)
        print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}), flush=True)


def end(processes):
    """Ends this process and those it has started. Clients of a cluster may wait for ever for one that is gone."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
    os._exit(0)


def descendants(root):
    """Processes that were started by `root`, directly or not."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            after_command = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry.name)] = int(after_command[1])
        except (OSError, ValueError, IndexError):
            continue  # Not a process, or one that has just ended.
    found, last = [], [root]
    while last:
        last = [child for child, parent in parents.items() if parent in last]
        found += last
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=120):
    """Until somebody listens on `port`."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
