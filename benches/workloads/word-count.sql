SELECT word, count(*) AS n
FROM (SELECT unnest(string_to_array(l_comment, ' ')) AS word FROM lineitem)
GROUP BY word
