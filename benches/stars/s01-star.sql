SELECT d.month, sum(s.price * s.quantity) AS turnover
FROM sales s JOIN days d ON s.day = d.day JOIN products p ON s.product = p.product JOIN stores t ON s.store = t.store
WHERE p.category = 7 AND t.format = 1
GROUP BY d.month
