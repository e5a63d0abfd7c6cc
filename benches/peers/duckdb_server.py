"""DuckDB in a process of its own. Needs `duckdb` and `pyarrow` from PyPI."""

import duckdb

import serving

args = serving.arguments()
connection = duckdb.connect()
connection.execute(f"SET threads = {args.threads}")
for name, files in serving.tables(args.data).items():
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{files}')")
serving.serve(lambda sql: connection.execute(sql).to_arrow_table().num_rows)
