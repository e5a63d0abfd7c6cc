SELECT c.region, p.category, count(*) AS n
FROM customers c, products p, days d, sales s
WHERE s.customer = c.customer AND s.product = p.product AND s.day = d.day AND d.year = 2 AND c.segment = 1
GROUP BY c.region, p.category
