//! Every kind of statement gives plain DataFusion's rows when it is cut into tasks, and when it runs whole.

use super::bed::{Bed, listed, sorted};
use super::cluster::{run, run_coalesced, run_shared};

/// Compares the answers of plain DataFusion, of three partitions, of eight (more than files), and of one wide task.
async fn check(bed: &Bed, sql: &str) {
    let expected = bed.oracle(sql).await.unwrap_or_else(|error| panic!("{sql}\nplain DataFusion: {error}"));
    let planners = [bed.tasks(3).await, bed.tasks(8).await, bed.whole(2).await];
    for planner in planners {
        match run(&planner, sql).await {
            Ok(got) => assert_eq!(sorted(&got), sorted(&expected), "{sql}\n{:?}", planner.spread),
            Err(error) => panic!("{sql}\n{:?}: {error}", planner.spread),
        }
        match run_coalesced(&planner, sql).await {
            Ok(got) => assert_eq!(sorted(&got), sorted(&expected), "{sql}\n{:?}, coalesced", planner.spread),
            Err(error) => panic!("{sql}\n{:?}, coalesced: {error}", planner.spread),
        }
        for side in 0..2 {
            match run_shared(&planner, sql, side).await {
                Ok(got) => {
                    assert_eq!(sorted(&got), sorted(&expected), "{sql}\n{:?}, input {side} shared", planner.spread)
                }
                Err(error) => panic!("{sql}\n{:?}, input {side} shared: {error}", planner.spread),
            }
        }
    }
}

/// Also compares the order of the rows.
async fn check_ordered(bed: &Bed, sql: &str) {
    check(bed, sql).await;
    let expected = listed(&bed.oracle(sql).await.unwrap());
    let got = listed(&run(&bed.tasks(3).await, sql).await.unwrap());
    assert_eq!(got, expected, "{sql}");
    let got = listed(&run_coalesced(&bed.tasks(3).await, sql).await.unwrap());
    assert_eq!(got, expected, "{sql}, coalesced");
}

/// With small build sides broadcast, and with all joins divided by their keys.
async fn check_joins(statements: &[&str]) {
    for bed in [Bed::new(), Bed::without_broadcast()] {
        for sql in statements {
            check(&bed, sql).await;
        }
    }
    let sort_merge = Bed::without_broadcast().with("datafusion.optimizer.prefer_hash_join", "false");
    for sql in statements {
        check(&sort_merge, sql).await;
    }
}

#[tokio::test]
async fn aggregates_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "SELECT count(*), sum(amount), min(id), max(price), avg(amount) FROM orders",
        "SELECT region, count(*), sum(amount) FROM orders GROUP BY region",
        "SELECT region, customer, count(*) FROM orders WHERE amount > 30 GROUP BY region, customer HAVING count(*) > 1",
        "SELECT count(DISTINCT customer), count(DISTINCT region), sum(DISTINCT amount) FROM orders",
        "SELECT region, count(DISTINCT customer) FROM orders GROUP BY region",
        "SELECT region, level, count(*) FROM orders o JOIN customers c ON o.customer = c.id GROUP BY ROLLUP (region, level)",
        "SELECT region, amount % 3, count(*) FROM orders GROUP BY GROUPING SETS ((region), (amount % 3), ())",
        "SELECT DISTINCT region, amount % 5 FROM orders",
        "SELECT region, array_agg(id ORDER BY id) FROM orders GROUP BY region",
        "SELECT region, first_value(id ORDER BY amount, id), last_value(id ORDER BY amount, id) FROM orders GROUP BY region",
        "SELECT count(*) FROM nothing",
        "SELECT name, count(*) FROM nothing GROUP BY name",
        "SELECT sum(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer)",
    ] {
        check(&bed, sql).await;
    }
}

/// Each build side has lost rows, so that its keys filter the probe side: where that may be, and where it may not.
#[tokio::test]
async fn filters_of_keys_change_no_row() {
    let bed = Bed::without_broadcast();
    let joins = [
        "SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer = c.id WHERE c.level = 2",
        "SELECT c.name, o.id FROM (SELECT * FROM customers WHERE level > 1) c LEFT JOIN orders o ON o.customer = c.id",
        "SELECT c.name, o.id FROM (SELECT * FROM customers WHERE level > 1) c RIGHT JOIN orders o ON o.customer = c.id",
        "SELECT c.name, o.id FROM (SELECT * FROM customers WHERE level > 1) c FULL JOIN orders o ON o.customer = c.id",
        "SELECT c.name FROM customers c WHERE c.level > 1 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        "SELECT c.name FROM customers c WHERE c.level > 1 AND NOT EXISTS
         (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.amount > c.level * 20)",
        "SELECT g.word, o.id FROM gaps g JOIN orders o ON g.key = o.customer AND g.word = o.region || 'x' WHERE g.key < 9",
        "SELECT g.word, o.id FROM gaps g JOIN orders o ON g.key = o.customer JOIN orders p ON p.customer = o.customer
         WHERE g.key < 9 AND p.amount > 50",
        "SELECT count(*) FROM nothing n JOIN orders o ON n.id = o.customer WHERE n.level = 7",
    ];
    let mut filtered = 0;
    for sql in joins {
        check(&bed, sql).await;
        filtered += usize::from(bed.tasks(3).await.shape(sql).await.contains("KeyProbeExec"));
    }
    assert!((5..joins.len() - 1).contains(&filtered), "{filtered} of {} statements filter by keys", joins.len());
    let off = Bed::without_broadcast().with("datafusion.optimizer.enable_dynamic_filter_pushdown", "false");
    assert!(!off.tasks(3).await.shape(joins[0]).await.contains("KeyProbeExec"));
}

#[tokio::test]
async fn what_is_said_twice_is_computed_once() {
    let bed = Bed::new();
    let sql = "WITH t AS (SELECT region, sum(amount) AS total FROM orders WHERE amount > 9 GROUP BY region)
               SELECT region, total FROM t WHERE total = (SELECT max(total) FROM t)";
    let shape = bed.tasks(3).await.shape(sql).await;
    assert_eq!(shape.matches("scan orders").count(), 1, "{shape}");
    check(&bed, sql).await;
    // Dice are rolled each time.
    let dice =
        "SELECT a.x, b.x FROM (SELECT sum(random()) AS x FROM orders) a, (SELECT sum(random()) AS x FROM orders) b";
    let shape = bed.tasks(3).await.shape(dice).await;
    assert_eq!(shape.matches("scan orders").count(), 2, "{shape}");
}

#[tokio::test]
async fn equi_joins_of_every_type_are_the_same() {
    check_joins(&[
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id",
        "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id",
        "SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id",
        "SELECT o.id, c.name FROM orders o RIGHT JOIN customers c ON o.customer = c.id",
        "SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id",
        "SELECT c.name, o.id FROM customers c FULL JOIN orders o ON o.customer = c.id AND o.amount > 50",
        "SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.amount > c.level * 20",
        "SELECT g.word, o.id FROM gaps g FULL JOIN orders o ON g.key = o.customer",
        "SELECT g.word, o.id FROM gaps g JOIN orders o ON g.key IS NOT DISTINCT FROM o.customer",
        "SELECT o.id, c.name, g.word FROM orders o JOIN customers c ON o.customer = c.id LEFT JOIN gaps g ON g.key = o.id",
        "SELECT a.id, b.id FROM customers a JOIN customers b ON a.level = b.level WHERE a.id < b.id",
        "SELECT o.id, n.name FROM orders o LEFT JOIN nothing n ON o.customer = n.id",
        "SELECT o.id, n.name FROM nothing n RIGHT JOIN orders o ON o.customer = n.id",
        "SELECT n.name, o.id FROM nothing n FULL JOIN orders o ON o.customer = n.id",
    ])
    .await;
}

#[tokio::test]
async fn semi_anti_and_mark_joins_are_the_same() {
    check_joins(&[
        "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE o.customer = c.id AND c.level > 1)",
        "SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE o.customer = c.id)",
        "SELECT name FROM customers c WHERE c.level = 1 OR EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id + 25)",
        "SELECT id FROM orders o WHERE o.amount < 5 OR EXISTS (SELECT 1 FROM gaps g WHERE g.key = o.id)",
        "SELECT name FROM customers WHERE id IN (SELECT customer FROM orders WHERE amount > 90)",
        "SELECT id FROM orders WHERE customer IN (SELECT key FROM gaps)",
    ])
    .await;
}

#[tokio::test]
async fn not_in_with_nulls_is_the_same() {
    check_joins(&[
        "SELECT name FROM customers WHERE id NOT IN (SELECT key FROM gaps)",
        "SELECT name FROM customers WHERE id NOT IN (SELECT key FROM gaps WHERE key IS NOT NULL)",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT key FROM gaps WHERE key IS NOT NULL)",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT key FROM gaps)",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT id FROM nothing)",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT customer FROM orders WHERE id = 3)",
    ])
    .await;
}

#[tokio::test]
async fn joins_without_equal_keys_are_the_same() {
    check_joins(&[
        "SELECT c.name, t.name FROM customers c CROSS JOIN tiny t",
        "SELECT o.id, c.id FROM orders o JOIN customers c ON o.amount < c.level",
        "SELECT o.id, c.id FROM orders o LEFT JOIN customers c ON o.amount < c.level",
        "SELECT o.id, c.id FROM orders o RIGHT JOIN customers c ON o.amount < c.level - 2",
        "SELECT o.id, c.id FROM orders o FULL JOIN customers c ON o.amount < c.level - 1",
        "SELECT c.id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.amount < c.level)",
        "SELECT c.id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.amount < c.level)",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE o.amount < c.level)",
        "SELECT count(*) FROM orders CROSS JOIN customers",
        "SELECT count(*) FROM orders o CROSS JOIN nothing n",
    ])
    .await;
}

#[tokio::test]
async fn scalar_subqueries_are_the_same() {
    for bed in [Bed::new(), Bed::without_broadcast()] {
        for sql in [
            "SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders)",
            "SELECT id, (SELECT max(id) FROM customers) AS m FROM orders WHERE amount > 95",
            "SELECT region, count(*) FROM orders WHERE amount > (SELECT avg(level) FROM customers) GROUP BY region",
            "SELECT region, sum(amount) FROM orders GROUP BY region HAVING sum(amount) > (SELECT sum(level) FROM customers)",
            "SELECT o.id FROM orders o JOIN customers c ON o.customer = c.id + (SELECT min(id) FROM customers)",
            "SELECT id FROM orders WHERE amount = (SELECT max(amount) FROM orders WHERE region = 'none')",
            "SELECT id, (SELECT id FROM nothing) AS n FROM tiny",
            "SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders WHERE amount < (SELECT max(amount) FROM orders))",
            "SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders) ORDER BY id LIMIT 5",
            "SELECT name FROM customers c WHERE level = (SELECT max(amount % 4) FROM orders o WHERE o.customer = c.id)",
            "SELECT id FROM orders WHERE customer IN (SELECT id FROM customers WHERE level > (SELECT avg(level) FROM customers))",
            "SELECT o.id, t.name FROM orders o JOIN tiny t ON o.id % (SELECT max(id) FROM customers) = t.id",
            "SELECT (SELECT max(amount) FROM orders) - (SELECT min(amount) FROM orders) AS spread",
            "SELECT customer + (SELECT min(id) FROM customers), count(*) FROM orders GROUP BY customer + (SELECT min(id) FROM customers)",
        ] {
            check(&bed, sql).await;
        }
    }
}

#[tokio::test]
async fn set_operations_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "SELECT id FROM orders UNION ALL SELECT id FROM customers",
        "SELECT id FROM orders UNION SELECT id FROM customers",
        "SELECT id FROM orders INTERSECT SELECT id FROM customers",
        "SELECT id FROM customers EXCEPT SELECT customer FROM orders",
        "SELECT id FROM tiny UNION ALL SELECT 99 UNION ALL SELECT key FROM gaps UNION ALL SELECT id FROM nothing",
        "SELECT k, sum(n) FROM (SELECT customer AS k, count(*) AS n FROM orders GROUP BY customer \
         UNION ALL SELECT id, count(*) FROM customers GROUP BY id) GROUP BY k",
        "SELECT name FROM tiny UNION ALL SELECT c.name FROM customers c JOIN orders o ON o.customer = c.id",
        "SELECT region, count(*) FROM (SELECT region FROM orders UNION ALL SELECT name FROM tiny) GROUP BY region",
    ] {
        check(&bed, sql).await;
    }
}

#[tokio::test]
async fn windows_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "SELECT id, row_number() OVER (ORDER BY id) FROM orders",
        "SELECT id, sum(amount) OVER () FROM orders",
        "SELECT id, rank() OVER (PARTITION BY region ORDER BY amount) FROM orders",
        "SELECT id, sum(amount) OVER (PARTITION BY customer ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM orders",
        "SELECT id, lag(amount) OVER (PARTITION BY region ORDER BY id), count(*) OVER (PARTITION BY customer) FROM orders",
        "SELECT id, row_number() OVER (PARTITION BY region ORDER BY id) FROM orders WHERE region = 'north'",
        "SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY region ORDER BY amount DESC, id) AS n FROM orders) WHERE n <= 2",
    ] {
        check(&bed, sql).await;
    }
}

#[tokio::test]
async fn sorts_and_limits_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "SELECT id, amount FROM orders ORDER BY amount DESC, id",
        "SELECT id, amount FROM orders ORDER BY amount DESC, id LIMIT 7",
        "SELECT id, amount FROM orders ORDER BY amount, id LIMIT 7 OFFSET 5",
        "SELECT region, count(*) AS n FROM orders GROUP BY region ORDER BY n DESC, region",
        "SELECT id FROM orders ORDER BY id OFFSET 190",
        "SELECT id FROM (SELECT id FROM orders UNION ALL SELECT id + 1000 FROM customers) ORDER BY id DESC LIMIT 3",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id ORDER BY o.id LIMIT 4",
        "SELECT id, row_number() OVER (ORDER BY amount, id) AS n FROM orders ORDER BY n LIMIT 10",
        "SELECT value FROM generate_series(1, 30) ORDER BY value",
        "SELECT value, count(*) FROM generate_series(1, 30) GROUP BY value ORDER BY value",
        "SELECT value, sum(value) OVER (ORDER BY value) FROM generate_series(1, 30) ORDER BY value",
        "SELECT region, id FROM orders WHERE region = 'north' ORDER BY region, id",
        "SELECT region, id, row_number() OVER (PARTITION BY region ORDER BY id) AS n FROM orders WHERE region = 'east' ORDER BY region, n",
        "SELECT id, amount FROM (SELECT * FROM orders ORDER BY id LIMIT 20) ORDER BY amount, id",
    ] {
        check_ordered(&bed, sql).await;
    }
    // Which rows they give is up to chance, but not how many.
    for sql in [
        "SELECT count(*) FROM (SELECT id FROM orders LIMIT 17)",
        "SELECT count(*) FROM (SELECT id FROM orders LIMIT 17 OFFSET 190)",
        "SELECT count(*) FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers LIMIT 60)",
        "SELECT count(*) FROM (SELECT DISTINCT customer FROM orders LIMIT 3)",
    ] {
        check(&bed, sql).await;
    }
}

#[tokio::test]
async fn plans_without_files_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "SELECT 1, 'a'",
        "SELECT 1 WHERE false",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS t (k, v)",
        "SELECT k, count(*) FROM (VALUES (1), (2), (1)) AS t (k) GROUP BY k",
        "SELECT v, o.id FROM (VALUES (1, 'a'), (2, 'b')) AS t (k, v) JOIN orders o ON o.customer = t.k",
        "SELECT sum(value) FROM generate_series(1, 100)",
        "SELECT count(*) FROM generate_series(1, 100)",
        "SELECT count(*) FROM generate_series(5, 1)",
        "SELECT count(*) FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-09', INTERVAL '1 day')",
        "SELECT o.id, s.value FROM generate_series(1, 5) s JOIN orders o ON o.id = s.value",
        "SELECT id FROM orders WHERE false",
        "SELECT unnest([1, 2, 3]), id FROM tiny",
        "SELECT unnest(array_agg(id)) FROM orders",
    ] {
        check(&bed, sql).await;
    }
}

#[tokio::test]
async fn recursive_queries_are_the_same() {
    let bed = Bed::new();
    for sql in [
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) \
         SELECT o.id, n.i FROM orders o JOIN n ON o.customer = n.i",
        "WITH RECURSIVE w AS (SELECT id, level, 0 AS depth FROM customers WHERE id = 1 UNION ALL \
         SELECT c.id, c.level, w.depth + 1 FROM customers c JOIN w ON c.id = w.id * 2) SELECT id, depth FROM w",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION SELECT (i + 1) % 4 FROM n) SELECT count(*) FROM n",
    ] {
        check(&bed, sql).await;
    }
}
