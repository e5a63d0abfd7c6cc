SELECT k.kind, count(*) AS n, sum(f.v) AS v, max(k.name) AS name
FROM hot f JOIN keys k ON f.k = k.k
GROUP BY k.kind
