"""Sail's cluster mode: a driver, and workers as its children. Needs `pysail`, `pyspark-client`, `pyarrow` and `pandas`."""

import os
import pathlib
import subprocess
import sys

from pyspark.sql import SparkSession

import serving

args = serving.arguments()
port = serving.free_port()
settings = {
    "SAIL_MODE": "local-cluster",
    "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(args.threads),
    "SAIL_CLUSTER__WORKER_INITIAL_COUNT": str(args.threads),
    "SAIL_CLUSTER__WORKER_MAX_COUNT": str(args.threads),
    "SAIL_CLUSTER__WORKER_TASK_SLOTS": "8",
}
sail = subprocess.Popen(
    [pathlib.Path(sys.executable).with_name("sail"), "spark", "server", "--ip", "127.0.0.1", "--port", str(port)],
    env=os.environ | settings,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
try:
    serving.wait_for(port)
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    for name, files in serving.tables(args.data).items():
        session.read.parquet(files.removesuffix("*.parquet")).createOrReplaceTempView(name)
    session.sql("SELECT count(*) FROM nation").toArrow()
    serving.serve(lambda sql: session.sql(sql).toArrow().num_rows)
finally:
    serving.end([sail])
