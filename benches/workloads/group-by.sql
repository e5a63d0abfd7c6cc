COPY (
    SELECT l_orderkey, l_partkey, count(*) AS n, sum(l_quantity) AS quantity
    FROM lineitem
    GROUP BY l_orderkey, l_partkey
) TO '{out}/' STORED AS PARQUET
