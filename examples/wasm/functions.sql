-- Functions of a module in SQL: build it first with `./build.sh`, or `wat2wasm functions.wat -o functions.wasm`.
CREATE FUNCTION plus_tax(price DOUBLE, rate DOUBLE) RETURNS DOUBLE LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION slug(text VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION geo_mean(x DOUBLE) RETURNS DOUBLE LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION numbers(first BIGINT, last BIGINT) RETURNS TABLE(n BIGINT) LANGUAGE wasm AS 'functions.wasm', 'series';
SELECT slug('Item No. ' || (n % 2)) AS item, round(sum(plus_tax(n, 0.19)), 2) AS total, round(geo_mean(n), 3) AS middle
FROM numbers(1, 10)
GROUP BY item
ORDER BY item;
