-- Records of 100 bytes: a key of ten random bytes, and 90 that begin with the record's number.
COPY (
    SELECT
        decode(substr(md5(CAST(i AS VARCHAR)), 1, 20), 'hex') AS key,
        rpad(lpad(CAST(i AS VARCHAR), 12, '0'), 90, md5(CAST(i * 31 AS VARCHAR))) AS value
    FROM generate_series(1, ${rows}) AS s(i)
) TO '${folder}/records/' STORED AS PARQUET;
