-- Two fact tables and ten dimensions. Customers and products are skewed; brand decides category, and city decides
-- state and country; segments follow regions.
COPY (
    SELECT
        i AS sale,
        CAST(pow(CAST(i * 7919 % 1000003 AS DOUBLE) / 1000003, 3) * 200000 AS BIGINT) AS customer,
        CAST(pow(CAST(i * 104729 % 999983 AS DOUBLE) / 999983, 2) * 50000 AS BIGINT) AS product,
        i * 31 % 1000 AS store,
        i * 17 % 2000 AS day,
        CASE WHEN i % 10 < 7 THEN 0 ELSE i % 100 END AS promotion,
        i * 13 % 50 AS warehouse,
        i % 7 AS channel,
        i * 37 % 10000 AS price,
        i % 5 + 1 AS quantity
    FROM generate_series(1, ${rows}) AS s(i)
) TO '${folder}/sales/' STORED AS PARQUET;
COPY (
    SELECT i * 20 AS sale, i * 11 % 2000 AS day, i % 12 AS reason
    FROM generate_series(1, ${rows} / 20) AS s(i)
) TO '${folder}/returns/' STORED AS PARQUET;
COPY (
    SELECT i AS customer, i * 7 % 1000 AS city, i % 10 AS region, i % 10 / 2 AS segment, i * 3 % 90 AS age
    FROM generate_series(0, 200000) AS s(i)
) TO '${folder}/customers/' STORED AS PARQUET;
COPY (
    SELECT i AS product, i % 500 AS brand, i % 500 / 10 AS category, i * 29 % 100 AS size
    FROM generate_series(0, 50000) AS s(i)
) TO '${folder}/products/' STORED AS PARQUET;
COPY (SELECT i AS store, i AS city, i % 4 AS format FROM generate_series(0, 999) AS s(i))
    TO '${folder}/stores/' STORED AS PARQUET;
COPY (SELECT i AS city, i / 20 AS state, concat('city ', i) AS name FROM generate_series(0, 999) AS s(i))
    TO '${folder}/cities/' STORED AS PARQUET;
COPY (SELECT i AS state, i / 10 AS country, concat('state ', i) AS name FROM generate_series(0, 49) AS s(i))
    TO '${folder}/states/' STORED AS PARQUET;
COPY (SELECT i AS country, concat('country ', i) AS name FROM generate_series(0, 4) AS s(i))
    TO '${folder}/countries/' STORED AS PARQUET;
COPY (SELECT i AS day, i / 30 AS month, i / 365 AS year, i % 7 AS weekday FROM generate_series(0, 1999) AS s(i))
    TO '${folder}/days/' STORED AS PARQUET;
COPY (SELECT i AS promotion, i % 9 AS kind FROM generate_series(0, 99) AS s(i))
    TO '${folder}/promotions/' STORED AS PARQUET;
COPY (SELECT i AS warehouse, i AS city FROM generate_series(0, 49) AS s(i))
    TO '${folder}/warehouses/' STORED AS PARQUET;
COPY (SELECT i AS channel, concat('channel ', i) AS name FROM generate_series(0, 6) AS s(i))
    TO '${folder}/channels/' STORED AS PARQUET;
