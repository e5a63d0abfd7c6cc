SELECT p.category, r.reason, count(*) AS n
FROM returns r JOIN sales s ON r.sale = s.sale JOIN products p ON s.product = p.product JOIN days d ON r.day = d.day
WHERE d.weekday = 3 AND p.size < 50
GROUP BY p.category, r.reason
