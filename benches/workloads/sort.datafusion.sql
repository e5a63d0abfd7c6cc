COPY (SELECT * FROM lineitem ORDER BY l_extendedprice, l_orderkey) TO '{out}/all.parquet' STORED AS PARQUET
