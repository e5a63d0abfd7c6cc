COPY (SELECT * FROM lineitem ORDER BY l_extendedprice, l_orderkey) TO '{out}/' STORED AS PARQUET
