"""Spark's standalone cluster: a master, workers of one core, and the driver in this process's JVM.

Needs `pyspark`, `pyarrow` and `pandas` from PyPI, and a Java runtime. The heaps are touched when the JVMs start
(`AlwaysPreTouch`), because fresh memory is slow on small virtual machines; a shuffle has as many partitions as there
are slots of work for a few seconds.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import pyspark
from pyspark.sql import SparkSession

import serving

EXECUTOR_GB = 6
args = serving.arguments()
home = pathlib.Path(pyspark.__file__).parent
scratch = tempfile.TemporaryDirectory(prefix="spark-")
port = serving.free_port()
environment = os.environ | {
    "SPARK_HOME": str(home),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_LOCAL_DIRS": scratch.name,
    "SPARK_DAEMON_MEMORY": "512m",
}


def start(role, *arguments):
    command = [home / "bin" / "spark-class", f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1"]
    return subprocess.Popen(
        command + ["--webui-port", str(serving.free_port()), *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


daemons = [start("master.Master", "--port", str(port))]
try:
    serving.wait_for(port)
    for index in range(args.threads):
        folder = pathlib.Path(scratch.name) / f"worker-{index}"
        folder.mkdir()
        memory = f"{EXECUTOR_GB + 1}g"
        where = ["--work-dir", str(folder), f"spark://127.0.0.1:{port}"]
        daemons.append(start("worker.Worker", "--cores", "1", "--memory", memory, *where))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master(f"spark://127.0.0.1:{port}")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.maxResultSize", "4g")
        .config("spark.executor.cores", "1")
        .config("spark.executor.memory", f"{EXECUTOR_GB}g")
        .config("spark.executor.extraJavaOptions", "-XX:+AlwaysPreTouch")
        .config("spark.cores.max", str(args.threads))
        .config("spark.sql.shuffle.partitions", "16")
        .config("spark.local.dir", scratch.name)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    while session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < args.threads + 1:
        time.sleep(0.1)
    for name, files in serving.tables(args.data).items():
        session.read.parquet(files.removesuffix("*.parquet")).createOrReplaceTempView(name)
    session.sql("SELECT count(*) FROM nation").toArrow()
    serving.serve(lambda sql: session.sql(sql).toArrow().num_rows)
    session.stop()
finally:
    scratch.cleanup()
    serving.end(daemons)
