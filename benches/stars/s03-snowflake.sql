SELECT co.name, st.name AS state, sum(s.price) AS price
FROM sales s JOIN stores t ON s.store = t.store JOIN cities ci ON t.city = ci.city JOIN states st ON ci.state = st.state
    JOIN countries co ON st.country = co.country
WHERE co.name = 'country 3'
GROUP BY co.name, st.name
