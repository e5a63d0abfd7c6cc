//! The checked functions against the built-in ones: the same answers, but an error where those wrap.

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

use crate::errors;
use crate::oracle::oracle_context;

async fn answer(context: &SessionContext, sql: &str) -> Result<String, String> {
    let run = async { context.sql(sql).await?.collect().await };
    match run.await {
        Ok(batches) => Ok(pretty_format_batches(&batches).unwrap().to_string()),
        Err(error) if errors::is_overflow(&error) => Err("overflow".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn overflows(sql: &str) {
    for partitions in [1, 4] {
        let checked = answer(&oracle_context(partitions), sql).await;
        assert_eq!(checked, Err("overflow".to_owned()), "{sql}");
    }
}

async fn agrees(sql: &str) {
    let built_in = answer(&SessionContext::new(), sql).await.unwrap();
    for partitions in [1, 4] {
        assert_eq!(answer(&oracle_context(partitions), sql).await.as_ref(), Ok(&built_in), "{sql}");
    }
}

const BIG: &str = "(SELECT 9223372036854775807 - value % 3 AS x, value % 5 AS g FROM generate_series(0, 99)) t";
const DECIMALS: &str = "(SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) AS x, value AS v \
                        FROM generate_series(0, 9)) t";
const SMALL: &str = "(SELECT CASE WHEN value % 7 = 0 THEN NULL ELSE value END AS x, value % 5 AS g, value AS v \
                     FROM generate_series(0, 999)) t";

#[tokio::test]
async fn arithmetic_fails_on_overflow() {
    overflows("SELECT 9223372036854775807 + 1").await;
    overflows("SELECT x - 2 FROM (SELECT -9223372036854775807 AS x)").await;
    overflows(&format!("SELECT x * 2 FROM {BIG}")).await;
    overflows(&format!("SELECT count(*) FROM {BIG} WHERE x + 10 > 0")).await;
    overflows(&format!("SELECT x FROM {BIG} ORDER BY x + 10")).await;
    overflows(&format!("SELECT max(x + 10) FROM {BIG} GROUP BY g")).await;
    overflows(&format!(
        "SELECT count(*) FROM {BIG} JOIN generate_series(0, 9) u ON t.g = u.value AND t.x + u.value > 5"
    ))
    .await;
}

#[tokio::test]
async fn sums_fail_on_overflow() {
    overflows(&format!("SELECT sum(x) FROM {BIG}")).await;
    overflows(&format!("SELECT g, sum(x) FROM {BIG} GROUP BY g")).await;
    overflows(&format!("SELECT sum(DISTINCT x) FROM {BIG}")).await;
    overflows(&format!("SELECT sum(x) OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM {BIG}")).await;
    overflows(&format!("SELECT sum(x) OVER (PARTITION BY g) FROM {BIG}")).await;
    overflows(&format!("SELECT sum(CAST(x AS BIGINT UNSIGNED)) FROM {BIG}")).await;
    overflows(&format!("SELECT sum(x) FROM {DECIMALS}")).await;
    overflows(&format!("SELECT v % 2, sum(x) FROM {DECIMALS} GROUP BY v % 2")).await;
}

#[tokio::test]
async fn sums_that_fit_are_those_of_the_built_in_function() {
    for x in ["x", "CAST(x AS INT)", "CAST(x AS DECIMAL(9, 2))", "CAST(x AS DECIMAL(38, 4))", "CAST(x AS DOUBLE)"] {
        agrees(&format!("SELECT sum({x}), avg({x}), sum(DISTINCT {x}) FROM {SMALL}")).await;
        agrees(&format!("SELECT g, sum({x}), avg({x}) FROM {SMALL} GROUP BY g ORDER BY g")).await;
        agrees(&format!("SELECT g, sum({x}) FILTER (WHERE v % 3 = 0) FROM {SMALL} GROUP BY g ORDER BY g")).await;
        agrees(&format!("SELECT g, sum(DISTINCT {x}) FROM {SMALL} GROUP BY g ORDER BY g")).await;
        agrees(&format!(
            "SELECT v, sum({x}) OVER (ORDER BY v ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM {SMALL} ORDER BY v"
        ))
        .await;
        agrees(&format!("SELECT sum({x}) FROM {SMALL} WHERE v < 0")).await;
        agrees(&format!("SELECT v, sum({x}) FROM {SMALL} GROUP BY v ORDER BY v")).await;
    }
}

#[tokio::test]
async fn a_sliding_sum_may_pass_through_large_values() {
    let sql = "SELECT sum(x) OVER (ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM \
               (VALUES (1, 9223372036854775807), (2, -9223372036854775807), (3, 9223372036854775807)) t(v, x)";
    agrees(sql).await;
}
