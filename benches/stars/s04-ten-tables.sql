SELECT co.name, p.category, ch.name AS channel, sum(s.price * s.quantity) AS turnover, count(*) AS n
FROM sales s, customers c, products p, stores t, cities ci, states st, countries co, days d, promotions pr, channels ch
WHERE s.customer = c.customer AND s.product = p.product AND s.store = t.store AND t.city = ci.city
    AND ci.state = st.state AND st.country = co.country AND s.day = d.day AND s.promotion = pr.promotion
    AND s.channel = ch.channel AND d.year = 3 AND pr.kind = 4 AND p.brand < 100 AND c.region = 3
GROUP BY co.name, p.category, ch.name
