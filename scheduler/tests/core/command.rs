//! The commands of the scripts: reads a line, steps the cluster, prints the outbox or a view.

use std::collections::BTreeMap;
use std::fmt::Write;

use windrow_model::*;
use windrow_scheduler::*;

use crate::cluster::{Cluster, read_attempt, read_spec, stage_plan};
use crate::print::*;

impl Cluster {
    /// Runs one command and returns what it prints.
    pub fn command(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let printed = self.setting(&words);
        let printed = printed.or_else(|| self.job_command(&words)).or_else(|| self.worker_command(&words));
        printed.or_else(|| self.view(&words)).unwrap_or_else(|| panic!("unknown command `{line}`"))
    }

    /// The clock, the leader, and what is printed.
    fn setting(&mut self, words: &[&str]) -> Option<String> {
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        Some(match words[0] {
            "limits" => {
                set_limits(&mut self.limits, &words[1..]);
                self.core = Scheduler::new(1, self.limits.clone());
                String::new()
            }
            "events" => {
                self.shows_events = words[1] == "on";
                String::new()
            }
            "counts" => {
                self.shows_counts = words[1] == "on";
                String::new()
            }
            "durability" => {
                self.shows_durability = words[1] == "on";
                String::new()
            }
            "mute" => {
                self.fakes.muted.insert(WorkerId(number(1)));
                String::new()
            }
            "unmute" => {
                self.fakes.muted.remove(&WorkerId(number(1)));
                String::new()
            }
            "tick" => {
                self.now = self.now + parse_duration(words[1]).expect("a duration");
                self.print(Input::Tick)
            }
            "recover" => {
                // `lagging`: records that were told before they were durable are lost.
                let records = if words.get(1) == Some(&"lagging") { self.durable } else { self.journal.len() };
                self.recover(records);
                self.print(Input::Tick)
            }
            _ => return None,
        })
    }

    /// What users, the planner and the committer say.
    fn job_command(&mut self, words: &[&str]) -> Option<String> {
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        Some(match words[0] {
            "submit" => {
                let request = self.request();
                let spec = read_spec(words[1], &options(&words[2..]));
                self.print(Input::JobSubmitted { request, spec })
            }
            "cancel" => {
                let request = self.request();
                self.print(Input::JobCancelled { request, job: JobId(number(1)) })
            }
            "plan" => {
                let job = JobId(number(1));
                let step = self.core.job(job).expect("a job").step();
                self.print(Input::StagesPlanned { job, step, plan: read_plan(&words[2..]) })
            }
            "planfail" => {
                let job = JobId(number(1));
                let step = self.core.job(job).expect("a job").step();
                self.print(Input::PlanFailed { job, step, report: ErrorReport::invalid(words[2..].join(" ")) })
            }
            "committed" => {
                let job = JobId(number(1));
                let step = self.core.job(job).expect("a job").step();
                self.print(Input::CommitFinished { job, step, files: vec![read_file("f")] })
            }
            "commitfail" => {
                let job = JobId(number(1));
                let step = self.core.job(job).expect("a job").step();
                let report = ErrorReport::new(ErrorKind::Conflict, words[2..].join(" "));
                self.print(Input::CommitFailed { job, step, report })
            }
            _ => return None,
        })
    }

    /// What workers say.
    fn worker_command(&mut self, words: &[&str]) -> Option<String> {
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        Some(match words[0] {
            "worker" => {
                let options = options(&words[2..]);
                let get = |key: &str, default: u64| {
                    options.get(key).map_or(default, |text| parse_bytes(text).expect("a size"))
                };
                let spec = WorkerSpec {
                    slots: get("slots", 1) as u32,
                    memory_bytes: get("memory", 1 << 30),
                    host: format!("host-{}", number(1)),
                    name: options.get("name").map_or(format!("place-{}", number(1)), |name| name.to_string()),
                };
                self.print(Input::WorkerRegistered { worker: WorkerId(number(1)), spec })
            }
            "heard" => self.print(Input::WorkerHeard { worker: WorkerId(number(1)) }),
            "lose" => self.print(Input::WorkerDisconnected { worker: WorkerId(number(1)) }),
            "drain" => {
                let within = options(&words[2..]).get("within").map(|text| parse_duration(text).expect("a duration"));
                self.print(Input::DrainRequested { worker: WorkerId(number(1)), within })
            }
            "start" | "finish" | "fail" | "done" | "progress" => self.report(words),
            "copied" => {
                let answers = self.fakes.copy(WorkerId(number(1)));
                self.print_all(answers)
            }
            "notcopied" => {
                let answers = self.fakes.refuse_copy(WorkerId(number(1)));
                self.print_all(answers)
            }
            "back" => {
                let worker = WorkerId(number(1));
                assert!(self.core.may_reattach(worker), "{worker} may not come back");
                let spec = self.core.worker(worker).expect("a worker").spec().clone();
                let inventory = self.fakes.get(worker).inventory();
                self.print(Input::WorkerReattached { worker, spec, inventory })
            }
            "unreachable" => {
                let (output, worker) = self.read_output(words[1]);
                self.print(Input::ResultUnreachable { output, worker })
            }
            _ => return None,
        })
    }

    /// What can be seen.
    fn view(&self, words: &[&str]) -> Option<String> {
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        Some(match words[0] {
            "deadline" => format!("{:?}\n", self.core.next_deadline().map(|at| at.to_string())),
            "why" => {
                self.core.why(JobId(number(1))).iter().map(|reason| format!("{}: {reason}\n", reason.code())).collect()
            }
            "show" => self.show(JobId(number(1))),
            "workers" => self.core.workers().map(|worker| print_worker(&worker)).collect(),
            "result" => self.result(JobId(number(1)), number(2) as u32),

            _ => return None,
        })
    }

    /// `start N`, `finish N… [inline] [files] [bytes=B] [held=B]`, `fail N KIND [OUTPUT]`, `progress N to=P`;
    /// `done N` finishes without a report. `all` stands for every live attempt.
    fn report(&mut self, words: &[&str]) -> String {
        let is_attempt = |word: &str| !word.starts_with('#') && read_attempt(word).is_some();
        let options: Vec<&str> = words.iter().copied().filter(|word| !is_attempt(word) && *word != "all").collect();
        let attempts: Vec<AttemptId> = if words[1] == "all" {
            self.live().iter().map(|(_, _, attempt)| *attempt).collect()
        } else {
            words[1..].iter().filter(|word| is_attempt(word)).filter_map(|word| read_attempt(word)).collect()
        };
        let named = crate::command::options(&options);
        let mut text = String::new();
        for attempt in attempts {
            let Some((_, worker)) = self.find(attempt) else {
                text += &format!("there is no attempt {attempt}\n");
                continue;
            };
            let input = match words[0] {
                "start" => Input::AttemptStarted { worker, attempt },
                "finish" => Input::AttemptFinished { worker, attempt, output: read_output(&options) },
                "done" => {
                    self.fakes.get(worker).finish(attempt, read_output(&options));
                    continue;
                }
                "progress" => {
                    let to = named["to"].parse().expect("a number");
                    Input::AttemptProgressed { worker, progress: vec![(attempt, to)] }
                }
                _ => {
                    let failure = self.read_failure(&options, worker);
                    Input::AttemptFailed { worker, attempt, failure }
                }
            };
            text += &self.print(input);
        }
        text
    }

    fn read_failure(&self, options: &[&str], worker: WorkerId) -> Failure {
        let report = ErrorReport::new(ErrorKind::Invalid, "something broke").with_hint("mend it");
        match options[1] {
            "query" => Failure::Query(report),
            "user" => Failure::UserCode(report),
            "oom" => Failure::OutOfMemory(ErrorReport::new(ErrorKind::Exhausted, "SortExec needs more memory")),
            "panic" => Failure::Panicked(report),
            "internal" => Failure::Internal(report),
            "unavailable" => {
                Failure::Unavailable(ErrorReport::new(ErrorKind::Unavailable, "the store does not answer"))
            }
            "preempted" => Failure::Preempted { worker },
            "disk" => Failure::DiskFull { path: format!("/spill-{}", worker.0) },
            "fetch" => {
                let (output, peer) = self.read_output(options[2]);
                Failure::FetchFailed { output, peer, detail: "no such output".into(), unreached: false }
            }
            "unreached" => {
                let (output, peer) = self.read_output(options[2]);
                Failure::FetchFailed { output, peer, detail: "timed out".into(), unreached: true }
            }
            "corrupt" => {
                let (output, peer) = self.read_output(options[2]);
                Failure::Corrupt { output, peer }
            }
            other => panic!("unknown failure `{other}`"),
        }
    }

    /// `#3`: the output of attempt 3, and its worker.
    fn read_output(&self, text: &str) -> (MapOutputId, WorkerId) {
        let attempt = read_attempt(text).expect("an attempt number");
        let (task, worker) = self.find(attempt).expect("an attempt");
        (MapOutputId { task, attempt }, worker)
    }

    fn print_all(&mut self, inputs: Vec<Input>) -> String {
        if inputs.is_empty() {
            return "there is nothing to copy\n".to_owned();
        }
        inputs.into_iter().map(|input| self.print(input)).collect()
    }

    fn print(&mut self, input: Input) -> String {
        let outbox = self.step(input);
        let mut text = String::new();
        if self.shows_durability && outbox.persist_first {
            text += "persist first\n";
        }
        text += &print_outbox(&outbox);
        if self.shows_events {
            outbox.events.iter().for_each(|event| print_event(&mut text, event));
        }
        text
    }

    fn show(&self, id: JobId) -> String {
        let Some(job) = self.core.job(id) else {
            return format!("{id} is not known\n");
        };
        let mut text =
            format!("{id} {} since {} [{}] {}\n", job.state(), job.since(), job.reason().code, job.reason().text);
        if let Some(report) = job.report() {
            let _ = writeln!(text, "{}: {report}; hint: {}", report.kind, report.hint);
        }
        for stage in job.stages() {
            let released = if stage.is_released() { ", released" } else { "" };
            let _ = writeln!(
                text,
                "{} {} {}/{} done, {} running, {} reruns{released}",
                stage.id(),
                stage.state(),
                stage.tasks_done(),
                stage.tasks_total(),
                stage.tasks_running(),
                stage.reruns()
            );
            for task in stage.tasks() {
                let attempts: Vec<String> = task.attempts().map(|attempt| print_attempt(&attempt)).collect();
                let _ = writeln!(text, "  {} {}", task.id(), attempts.join("; "));
            }
        }
        text
    }

    fn result(&self, id: JobId, step: u32) -> String {
        let state = self.core.job(id).expect("a job").result(step);
        let mut text = format!("{state:?}\n");
        for part in self.core.result_outputs(id, step).unwrap_or_default() {
            let place = part.worker.map_or("inline".to_owned(), |worker| worker.to_string());
            let _ = writeln!(text, "{} {place} {} rows", part.output, part.rows);
        }
        text
    }
}

/// `job-1.0.3` and `worker-2` become `job` and `worker`: how many lines there are of each kind.
pub fn count_lines(text: &str) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let kind = |word: &str| word.split(['-', '#']).next().unwrap_or_default().to_owned();
        let words: Vec<String> =
            line.split_whitespace().map(kind).filter(|word| word.parse::<u64>().is_err()).collect();
        *counts.entry(words.join(" ")).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{count} x {kind}\n")).collect()
}

fn options<'a>(words: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    words.iter().filter_map(|word| word.split_once('=')).collect()
}

fn set_limits(limits: &mut Limits, words: &[&str]) {
    for (key, value) in options(words) {
        let number = || value.parse::<u32>().expect("a number");
        let duration = || parse_duration(value).expect("a duration");
        match key {
            "attempts_max" => limits.attempts_max = number(),
            "stage_reruns_max" => limits.stage_reruns_max = number(),
            "worker_deaths_max" => limits.worker_deaths_max = number(),
            "running_jobs_max" => limits.running_jobs_max = number() as usize,
            "queued_jobs_max" => limits.queued_jobs_max = number() as usize,
            "losses" => limits.exclusion.losses = number(),
            "failures" => limits.exclusion.failures = number(),
            "speculation" => limits.speculation.enabled = value == "on",
            "hang_timeout" => limits.hang_timeout = duration(),
            "recovery_window" => limits.recovery_window = duration(),
            "drain_deadline" => limits.drain_deadline = duration(),
            "ended_jobs_max" => limits.ended_jobs_max = number() as usize,
            "lease" => limits.lease = duration(),
            "shuffle_store" => limits.shuffle_store = value == "on",
            "result_ttl" => limits.result_ttl = duration(),
            "no_worker_grace" => limits.no_worker_grace = duration(),
            other => panic!("unknown limit `{other}`"),
        }
    }
}

/// `0:2`, `1:1x4<0`, `1:2!<0`, `1:8~64<0`: index, tasks, slots of each, `!` for indeterminate, `~` for partitions that may
/// be put together until a task reads so many bytes (`+`: or shared, if one of the inputs has most of them), inputs. Then the outcome, then `more`.
fn read_plan(words: &[&str]) -> StepPlan {
    let mut plan = StepPlan { stages: Vec::new(), outcome: StepOutcome::Immediate, last: true };
    for word in words {
        let stage = |text: &str| text.parse::<u32>().expect("a stage");
        match word.split_once('=') {
            Some(("result", index)) => plan.outcome = StepOutcome::Result { stage: stage(index) },
            Some(("table", index)) => plan.outcome = StepOutcome::Table { stage: stage(index) },
            Some(("commit", index)) => plan.outcome = StepOutcome::Commit { stage: stage(index) },
            Some(("discard", index)) => plan.outcome = StepOutcome::Discard { stage: stage(index) },
            Some(other) => panic!("unknown outcome {other:?}"),
            None if *word == "more" => plan.last = false,
            None if *word == "immediate" => {}
            None => plan.stages.push(read_stage(word)),
        }
    }
    for index in 0..plan.stages.len() {
        let reader = plan.stages[index].clone();
        for input in reader.inputs.iter().filter(|_| reader.coalescing.is_some()) {
            let first = plan.stages[0].index;
            plan.stages[(input.stage - first) as usize].output_partitions = reader.tasks.len() as u32;
        }
    }
    plan
}

fn read_stage(word: &str) -> StagePlan {
    let (head, inputs) = word.split_once('<').unwrap_or((word, ""));
    let determinism = if head.ends_with('!') { Determinism::Indeterminate } else { Determinism::Unordered };
    let (index, shape) = head.trim_end_matches('!').split_once(':').expect("index:tasks");
    let (shape, target) = shape.split_once('~').map_or((shape, None), |(shape, target)| (shape, Some(target)));
    let (tasks, slots) = shape.split_once('x').unwrap_or((shape, "1"));
    let inputs: Vec<u32> =
        inputs.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().expect("an input")).collect();
    let coalescing = target.map(|text| Coalescing {
        target_bytes: text.trim_end_matches('+').parse().expect("bytes"),
        in_order: false,
        shareable: if text.ends_with('+') { inputs.clone() } else { Vec::new() },
    });
    let plan = stage_plan(
        index.parse().expect("an index"),
        tasks.parse().expect("tasks"),
        slots.parse().expect("slots"),
        inputs,
        determinism,
    );
    StagePlan { coalescing, ..plan }
}

fn read_file(path: &str) -> WrittenFile {
    WrittenFile { path: path.into(), staged: path.into(), parts: Vec::new(), rows: 10, bytes: 100 }
}

fn read_output(words: &[&str]) -> TaskOutput {
    TaskOutput {
        rows: 10,
        bytes: options(words).get("bytes").map_or(100, |text| parse_bytes(text).expect("a size")),
        partition_bytes: options(words).get("parts").map_or(Vec::new(), |text| {
            text.split(',').map(|bytes| bytes.parse().expect("bytes of a partition")).collect()
        }),
        inline: words.contains(&"inline").then(|| vec![1, 2, 3]),
        memory_bytes_held: options(words).get("held").map_or(0, |text| parse_bytes(text).expect("a size")),
        files: if words.contains(&"files") { vec![read_file("f")] } else { Vec::new() },
        ..TaskOutput::default()
    }
}
