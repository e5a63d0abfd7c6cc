"""Polars with its streaming engine in a process of its own. Needs `polars` from PyPI."""

import os

import serving

args = serving.arguments()
os.environ["POLARS_MAX_THREADS"] = str(args.threads)

import polars  # noqa: E402: reads the number of threads when it is loaded

frames = {name: polars.scan_parquet(files) for name, files in serving.tables(args.data).items()}
context = polars.SQLContext(frames=frames)
serving.serve(lambda sql: context.execute(sql, eager=False).collect(engine="streaming").height)
