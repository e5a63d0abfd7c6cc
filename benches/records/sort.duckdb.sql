COPY (SELECT * FROM records ORDER BY key) TO '{out}/all.parquet' (FORMAT parquet)
