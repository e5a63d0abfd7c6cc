SELECT c.region, count(*) AS n
FROM customers c
WHERE EXISTS (SELECT 1 FROM sales s JOIN products p ON s.product = p.product
              WHERE s.customer = c.customer AND p.category = 3)
    AND NOT EXISTS (SELECT 1 FROM sales s JOIN returns r ON r.sale = s.sale WHERE s.customer = c.customer)
GROUP BY c.region
