SELECT t.format, count(*) AS n, count(r.sale) AS returned
FROM sales s JOIN stores t ON s.store = t.store LEFT JOIN returns r ON r.sale = s.sale
    JOIN warehouses w ON s.warehouse = w.warehouse
WHERE w.city < 5
GROUP BY t.format
