SELECT c.age, sum(s.quantity) AS quantity
FROM customers c JOIN sales s ON s.customer = c.customer JOIN promotions pr ON s.promotion = pr.promotion
WHERE c.customer < 1000 AND pr.kind = 0
GROUP BY c.age
