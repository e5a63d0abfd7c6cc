//! The format, what readers make of damaged and of several logs, and the archive over both kinds of location.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use windrow_model::{ErrorKind, JobId, Timestamp};
use windrow_proto as wire;

use super::archive::Archive;
use super::event::{self, Event, VERSION};
use super::log::{self, Log};
use super::name::LogName;
use super::place::Place;
use super::recorder::{self, Budget, Recorder};
use super::writer::Writer;

const SUBMITTED: Timestamp = Timestamp(1_764_200_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn log_name(job: u64, epoch: u64) -> LogName {
    LogName { job: JobId(job), submitted_at: SUBMITTED, epoch }
}

/// A job with everything in it that a log keeps.
fn job(id: u64) -> wire::Job {
    let report = wire::ErrorReport { kind: "invalid".to_owned(), what: "overflow".to_owned(), ..Default::default() };
    let failure = wire::Failure { kind: Some(wire::failure::Kind::Query(report.clone())) };
    let attempt = |n, failure| wire::Attempt {
        id: Some(wire::AttemptId { epoch: 1, n }),
        worker: 3,
        state: "failed".to_owned(),
        failure,
        rows: 10,
        memory_bytes_peak: 99,
        ..Default::default()
    };
    let operator = wire::OperatorMetrics { name: "SortExec".to_owned(), rows: 10, elapsed_ns: 7, ..Default::default() };
    let stage = |index| wire::Stage {
        index,
        label: "scan, sort".to_owned(),
        attempts: vec![attempt(1, Some(failure.clone())), attempt(2, None)],
        operators: vec![operator.clone()],
        ..Default::default()
    };
    let sql = wire::SqlProgram { script: "SELECT 1".to_owned(), ..Default::default() };
    let program = Some(wire::job_spec::Program::Sql(sql));
    wire::Job {
        id,
        spec: Some(wire::JobSpec { name: "nightly".to_owned(), program, ..Default::default() }),
        state: "failed".to_owned(),
        submitted_us: SUBMITTED.0,
        ended_us: SUBMITTED.0 + 5,
        error: Some(report),
        stages: vec![stage(0), stage(1)],
        workers: vec![wire::WorkerUse { worker: 3, host: "a".to_owned(), attempts: 4, ..Default::default() }],
        files: vec![wire::PublishedFile { path: "part-0.parquet".to_owned(), rows: 10, bytes: 100 }],
        notes: vec!["runs whole on one worker".to_owned()],
        ..Default::default()
    }
}

fn lines(events: &[Event]) -> Vec<u8> {
    let mut lines = Vec::new();
    events.iter().for_each(|event| event::write_line(event, &mut lines).expect("an event can be written"));
    lines
}

/// A whole log of a job.
fn whole(id: u64) -> Vec<u8> {
    let mut events = vec![event::head(log_name(id, 1))];
    events.extend(event::end(SUBMITTED.0 + 5, job(id)));
    lines(&events)
}

#[test]
fn a_job_comes_back_as_it_ended() {
    let log = log::read(&whole(7)).expect("a log");
    assert_eq!(log.end, Some(job(7)));
    assert_eq!(log.flaws, Vec::<String>::new());
    let summary = log::read_tail(&whole(7)).expect("its last line");
    assert_eq!((summary.id, summary.state.as_str(), summary.stages.len()), (7, "failed", 0));
    assert_eq!(summary.spec.expect("a specification").program, None);
}

#[test]
fn a_torn_last_line_is_left_out_and_named() {
    let bytes = whole(7);
    let torn = log::read(&bytes[..bytes.len() - 5]).expect("the rest of the log");
    assert_eq!(torn.end, None, "the line that says that it is whole is not there");
    assert!(torn.flaws[0].contains("torn"), "{:?}", torn.flaws);
    assert_eq!(log::read_tail(&bytes[..bytes.len() - 5]), None);
    let report = log::unfinished(JobId(7), &torn);
    assert_eq!(report.kind, ErrorKind::NotFound);
    assert!(report.detail.contains("torn"), "{report}");

    // What a leader tried to write a second time is whole behind the rest of the first try.
    let again = [&bytes[..bytes.len() - 5], b"\n", &lines(&event::end(1, job(7)))].concat();
    let log = log::read(&again).expect("a log");
    assert_eq!(log.end, Some(job(7)));
    assert_eq!(log.flaws.len(), 1, "{:?}", log.flaws);
}

#[test]
fn an_end_without_all_of_its_lines_does_not_count() {
    let text = String::from_utf8(whole(7)).expect("JSON is UTF-8");
    let first_attempt = text.lines().position(|line| line.contains(r#""event":"attempt""#)).expect("an attempt");
    let without: String =
        text.lines().enumerate().filter(|(at, _)| *at != first_attempt).map(|(_, l)| format!("{l}\n")).collect();
    let log = log::read(without.as_bytes()).expect("a log");
    assert_eq!(log.end, None);
    assert!(log.flaws[0].contains("missing"), "{:?}", log.flaws);
}

#[test]
fn a_later_version_is_refused_and_later_events_are_skipped() {
    let text = String::from_utf8(whole(7)).expect("JSON is UTF-8");
    let later = text.replace(&format!(r#""version":{VERSION}"#), &format!(r#""version":{}"#, VERSION + 1));
    let report = log::read(later.as_bytes()).expect_err("a later version");
    assert_eq!(report.kind, ErrorKind::Unsupported);
    assert_eq!(log::read_tail(later.as_bytes()), None);

    let with_more = text.replacen('\n', "\n{\"event\":\"moon_phase\",\"phase\":3}\n", 1);
    let log = log::read(with_more.replace(r#""rows":10"#, r#""rows":10,"colour":"red""#).as_bytes()).expect("a log");
    assert_eq!((log.end, log.flaws), (Some(job(7)), Vec::new()));
    assert_eq!(log::read(b"SELECT 1\n").expect_err("no log").kind, ErrorKind::Corrupt);
}

#[test]
fn the_newest_whole_end_counts_and_the_older_logs_fill_its_gaps() {
    let stage = wire::Stage { attempts: Vec::new(), ..job(7).stages.remove(0) };
    let first = log::read(&lines(&[
        event::head(log_name(7, 1)),
        Event::StepPlanned { at_us: 1, step: 0, notes: vec!["of the first leader".to_owned()] },
        Event::StageDone { at_us: 2, stage: Box::new(stage), workers: job(7).workers },
    ]));
    let mut poor = job(7);
    poor.stages.iter_mut().for_each(|stage| stage.operators.clear());
    poor.workers.iter_mut().for_each(|usage| usage.host.clear());
    let mut second = vec![event::head(log_name(7, 2))];
    second.extend(event::end(3, poor));
    // A leader that has lost the lead wrote some more.
    let third =
        vec![event::head(log_name(7, 3)), Event::StateChanged { at_us: 4, state: "running".to_owned(), error: None }];
    let logs = [first, log::read(&lines(&second)), log::read(&lines(&third))];

    let merged = log::merge(logs.map(|log| log.expect("a log")).to_vec());
    let end = merged.end.expect("the second leader's");
    assert_eq!(end.notes, ["of the first leader", "runs whole on one worker"]);
    assert_eq!(end.stages[0].operators, job(7).stages[0].operators);
    assert_eq!(end.stages[1].operators, []);
    assert_eq!(end.workers, job(7).workers);
    assert_eq!(end.files, job(7).files, "published once");
}

/// A history of one leader, as a coordinator has it.
struct Kept {
    recorder: Recorder,
    archive: Archive,
    writer: JoinHandle<()>,
}

impl Kept {
    fn at(place: Arc<Place>, epoch: u64) -> Kept {
        Kept::with(place, epoch, 30 * DAY, 1000)
    }

    fn with(place: Arc<Place>, epoch: u64, retention: Duration, jobs_max: usize) -> Kept {
        let archive = Archive::new(epoch, Arc::clone(&place), retention, jobs_max);
        let (budget, (entries, inbox)) = (Arc::new(Budget::default()), recorder::channel());
        let recorder = Recorder::new(epoch, entries, Arc::clone(&budget));
        let writer = tokio::spawn(Writer::new(place, archive.clone(), inbox, budget).run());
        Kept { recorder, archive, writer }
    }

    /// As at a shutdown: everything that was told is written.
    async fn close(self) -> Archive {
        drop(self.recorder);
        self.writer.await.expect("the writer ends");
        self.archive
    }
}

fn folder(path: &Path) -> Arc<Place> {
    let stores = windrow_engine::stores::Stores::from_env();
    Arc::new(Place::open(path.to_str().expect("a path in UTF-8"), &stores).expect("a folder"))
}

async fn is_kept_and_listed(place: Arc<Place>) {
    let first = Kept::at(Arc::clone(&place), 1);
    let note = Event::StepPlanned { at_us: 1, step: 0, notes: vec!["runs whole on one worker".to_owned()] };
    first.recorder.tell(JobId(7), SUBMITTED, note);
    first.recorder.tell_end(JobId(7), SUBMITTED, job(7));
    first.recorder.tell(
        JobId(8),
        SUBMITTED,
        Event::StateChanged { at_us: 1, state: "running".to_owned(), error: None },
    );
    first.close().await;

    let second = Kept::at(Arc::clone(&place), 2);
    second.archive.look_and_prune().await.expect("a look");
    assert_eq!(second.archive.job(JobId(7)).await.expect("the job"), job(7));
    let listed: Vec<u64> = second.archive.summaries().await.iter().map(|job| job.id).collect();
    assert_eq!(listed, [7], "job-8 has no end");
    assert_eq!(second.archive.has(JobId(8), SUBMITTED), (true, false));
    let report = second.archive.job(JobId(8)).await.expect_err("only its beginning is there");
    assert!(report.detail.contains("beginning"), "{report}");
    let memory = second.archive.memory(JobId(7), SUBMITTED).await.expect("a log").expect("of this job");
    assert_eq!(memory.notes, job(7).notes);
    assert_eq!(second.archive.memory(JobId(9), SUBMITTED).await, Ok(None));

    // The new leader writes ends again: one that is there, and one that was missing.
    second.recorder.tell_end(JobId(7), SUBMITTED, job(7));
    second.recorder.tell_end(JobId(8), SUBMITTED, job(8));
    let archive = second.close().await;
    for id in [7, 8] {
        assert_eq!(archive.job(JobId(id)).await.expect("the job"), job(id));
    }
    assert_eq!(place.list().await.expect("a listing").len(), 4, "two logs of each job");
}

#[tokio::test]
async fn a_folder_keeps_jobs_and_lists_them() {
    let folder_of_it = tempfile::tempdir().expect("a temporary folder");
    is_kept_and_listed(folder(&folder_of_it.path().join("not/there/yet"))).await;
}

#[tokio::test]
async fn an_object_store_keeps_jobs_and_lists_them() {
    is_kept_and_listed(Arc::new(Place::in_memory())).await;
}

#[tokio::test]
async fn of_two_jobs_of_one_number_the_later_one_is_shown() {
    let folder_of_it = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::at(folder(folder_of_it.path()), 9);
    kept.recorder.tell_end(JobId(1), SUBMITTED, job(1));
    let later = wire::Job { state: "succeeded".to_owned(), ..job(1) };
    kept.recorder.tell_end(JobId(1), SUBMITTED + DAY, later.clone());
    let archive = kept.close().await;
    archive.look_and_prune().await.expect("a look");
    assert_eq!(archive.job(JobId(1)).await.expect("the job"), later);
    assert_eq!(archive.summaries().await.len(), 1);
}

#[tokio::test]
async fn retention_removes_old_logs_and_the_oldest_beyond_the_count() {
    let folder_of_it = tempfile::tempdir().expect("a temporary folder");
    let kept = Kept::with(folder(folder_of_it.path()), 1, 30 * DAY, 3);
    for id in 1..=6 {
        kept.recorder.tell_end(JobId(id), SUBMITTED, job(id));
    }
    fs::write(folder_of_it.path().join("notes.txt"), "of somebody else").expect("a file");
    let archive = kept.close().await;
    let age = |id: u64, age: Duration| {
        let path = folder_of_it.path().join(super::name::PieceName { log: log_name(id, 1), number: 0 }.file_name());
        let file = fs::File::options().write(true).open(path).expect("its log");
        file.set_modified(SystemTime::now() - age).expect("its time can be set");
    };
    (1..=6).for_each(|id| age(id, Duration::from_secs(3600 * (10 - id))));
    age(5, 31 * DAY);

    assert_eq!(archive.look_and_prune().await, Ok(3));
    let left: Vec<u64> = archive.summaries().await.iter().map(|job| job.id).collect();
    assert_eq!(left, [6, 4, 3], "job-5 is too old, and then job-1 and job-2 are the oldest");
    assert_eq!(archive.job(JobId(5)).await.expect_err("removed").kind, ErrorKind::NotFound);
    assert_eq!(fs::read_dir(folder_of_it.path()).expect("the folder").count(), 4, "three logs and the notes");
}

#[test]
fn a_log_of_nothing_is_an_empty_one() {
    assert_eq!(log::read(&lines(&[event::head(log_name(1, 1))])), Ok(Log::default()));
}
