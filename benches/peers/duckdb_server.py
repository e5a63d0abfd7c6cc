"""DuckDB in a process of its own: one SQL file name a line in, one JSON line out."""

import argparse
import json
import pathlib
import sys
import time

import duckdb

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=pathlib.Path, required=True)
parser.add_argument("--threads", type=int, required=True)
args = parser.parse_args()

connection = duckdb.connect()
connection.execute(f"SET threads = {args.threads}")
for table in sorted(args.data.iterdir()):
    connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{table}/*.parquet')")
print("ready", flush=True)
for line in sys.stdin:
    sql = pathlib.Path(line.strip()).read_text()
    started = time.perf_counter()
    rows = connection.execute(sql).to_arrow_table().num_rows
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}), flush=True)
