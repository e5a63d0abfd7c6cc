SELECT count(*) AS n
FROM sales s JOIN customers c ON s.customer = c.customer JOIN stores t ON s.store = t.store
    JOIN cities a ON c.city = a.city JOIN cities b ON t.city = b.city
WHERE a.state = b.state AND c.age < 30
