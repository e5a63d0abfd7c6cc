SELECT d.year, count(*) AS n
FROM sales s JOIN products p ON s.product = p.product JOIN customers c ON s.customer = c.customer
    JOIN days d ON s.day = d.day
WHERE p.category = 12 AND p.brand BETWEEN 120 AND 129 AND c.region IN (4, 5) AND c.segment = 2
GROUP BY d.year
