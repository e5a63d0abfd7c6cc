//! `simulate`: what `windrow simulate` prints.

use std::time::Duration;

use windrow_simulator::{SimulateOptions, Workload, simulate};

fn options() -> SimulateOptions {
    let jobs: Workload = "
        0s  a=40x2s b=8x3s<a -> files
        5s  s=20x1s t=20x1s j=10x2s<s,t -> result queue=etl
    "
    .parse()
    .expect("the jobs read");
    SimulateOptions { workers: 10, slots: 2, jobs, ..SimulateOptions::default() }
}

#[test]
fn a_quiet_day_wastes_nothing() {
    let report = simulate(&options());
    assert_eq!((report.succeeded, report.failed, report.unfinished), (2, 0, 0), "{report}");
    assert_eq!((report.tasks, report.attempts), (98, 98), "{report}");
    assert!(report.waste == 0.0 && report.violation.is_none(), "{report}");
    // 40 tasks of 2 s, 8 of 3 s, 40 of 1 s and 10 of 2 s on 20 slots, each up to half as long again.
    assert!((0.3..1.0).contains(&report.utilisation), "{report}");
    assert!(report.makespan > Duration::from_secs(8) && report.makespan < Duration::from_secs(30), "{report}");
}

#[test]
fn a_bad_day_costs_time_and_loses_nothing() {
    let chaos = "
        3s power worker 0-3 for 60s
        6s pause coordinator 0 for 30s
        9s cut worker 5 <-> all for 20s
    ";
    let bad = SimulateOptions { chaos: chaos.parse().expect("the chaos reads"), ..options() };
    let (quiet, report) = (simulate(&options()), simulate(&bad));
    assert_eq!((report.succeeded, report.failed, report.unfinished), (2, 0, 0), "{report}");
    assert!(report.makespan > quiet.makespan && report.waste > 0.0, "{report}");
}

#[test]
fn the_same_options_give_the_same_report() {
    assert_eq!(simulate(&options()), simulate(&options()));
    assert_ne!(simulate(&options()).hash, simulate(&SimulateOptions { seed: 1, ..options() }).hash);
}
