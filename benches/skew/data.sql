-- The same facts three times: keys that are all alike, and keys of which one is that of three rows in ten, or of seven.
COPY (
    SELECT i * 7919 % (${rows} / 10) AS k, i % 1000 AS v
    FROM generate_series(1, ${rows}) AS s(i)
) TO '${folder}/even/' STORED AS PARQUET;
COPY (
    SELECT CASE WHEN i % 10 < 3 THEN 4711 ELSE i * 7919 % (${rows} / 10) END AS k, i % 1000 AS v
    FROM generate_series(1, ${rows}) AS s(i)
) TO '${folder}/skewed/' STORED AS PARQUET;
COPY (
    SELECT CASE WHEN i % 10 < 7 THEN 4711 ELSE i * 7919 % (${rows} / 10) END AS k, i % 1000 AS v
    FROM generate_series(1, ${rows}) AS s(i)
) TO '${folder}/hot/' STORED AS PARQUET;
COPY (
    SELECT i AS k, i % 50 AS kind, concat('a name for the key ', i) AS name
    FROM generate_series(0, ${rows} / 10 - 1) AS s(i)
) TO '${folder}/keys/' STORED AS PARQUET;
