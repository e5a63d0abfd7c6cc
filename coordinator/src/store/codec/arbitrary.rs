//! Arbitrary records, for the round trip. Every field of every kind varies.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use windrow_model::{
    AttemptId, Coalescing, CodeLimits, Determinism, Divide, ErrorKind, ErrorReport, Failure, FieldRange, FragmentHash,
    Framing, InputShare, JobId, JobSpec, JobState, Keys, MapOutputId, MapReduce, MapReduceInput, OnError, OutputMode,
    OutputSpec, Program, Runs, ShippedFile, SortField, StageId, StageInput, StagePlan, StepOutcome, StepPlan,
    TableFormat, TableSpec, TaskId, TaskOutput, TaskPlan, Timestamp, UserCode, WorkerId, WorkerState, WrittenFile,
};
use windrow_scheduler::{AttemptRun, Blamed, CommittedTask, Record, WorkerSpec};

pub(super) fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (job(), job_spec(), at()).prop_map(|(job, spec, at)| Record::JobSubmitted { job, spec, at }),
        (job(), at()).prop_map(|(job, at)| Record::JobAdmitted { job, at }),
        (job(), any::<u32>(), step_plan(), at()).prop_map(|(job, step, plan, at)| Record::StagesPlanned {
            job,
            step,
            plan,
            at
        }),
        (output_id(), worker(), task_output(), run(), at()).prop_map(|(id, worker, output, run, at)| {
            Record::TaskFinished { task: id.task, attempt: id.attempt, worker, output, run, at }
        }),
        (output_id(), vec(task_plan(), 0..3))
            .prop_map(|(id, tasks)| Record::StageCoalesced { stage: id.task.stage, tasks }),
        attempt_failed(),
        vec(output_id(), 0..4).prop_map(|outputs| Record::OutputsLost { outputs }),
        (vec(output_id(), 0..4), worker()).prop_map(|(outputs, to)| Record::OutputsMoved { outputs, to }),
        (job(), any::<u32>(), vec(committed_task(), 0..3), at())
            .prop_map(|(job, step, tasks, at)| Record::CommitIntended { job, step, tasks, at }),
        (job(), any::<u32>(), any::<[u64; 3]>(), at()).prop_map(|(job, step, [files, rows, bytes], at)| {
            Record::StepFinished { job, step, files, rows, bytes, at }
        }),
        (job(), select(JobState::ALL), text(), option::of(report()), at())
            .prop_map(|(job, state, code, report, at)| Record::JobEnded { job, state, code, report, at }),
        (job(), report()).prop_map(|(job, report)| Record::ResultGivenUp { job, report }),
        (worker(), worker_spec(), at()).prop_map(|(worker, spec, at)| Record::WorkerRegistered { worker, spec, at }),
        (worker(), select(WorkerState::ALL), at()).prop_map(|(worker, state, at)| Record::WorkerLeft {
            worker,
            state,
            at
        }),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z/_.]{1,12}", "\\PC{0,12}"]
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn job() -> impl Strategy<Value = JobId> {
    any::<u64>().prop_map(JobId)
}

fn worker() -> impl Strategy<Value = WorkerId> {
    any::<u64>().prop_map(WorkerId)
}

fn output_id() -> impl Strategy<Value = MapOutputId> {
    (job(), any::<[u32; 2]>(), any::<[u64; 2]>()).prop_map(|(job, [stage, index], [epoch, n])| MapOutputId {
        task: TaskId { stage: StageId { job, index: stage }, index },
        attempt: AttemptId { epoch, n },
    })
}

fn report() -> impl Strategy<Value = ErrorReport> {
    (select(&ErrorKind::ALL[..]), text(), text(), text()).prop_map(|(kind, what, detail, hint)| ErrorReport {
        kind,
        what,
        detail,
        hint,
    })
}

fn options() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn format() -> impl Strategy<Value = TableFormat> {
    select(vec![TableFormat::Parquet, TableFormat::Csv, TableFormat::Json, TableFormat::Text])
}

fn table_spec() -> impl Strategy<Value = TableSpec> {
    (text(), format(), options()).prop_map(|(location, format, options)| TableSpec { location, format, options })
}

fn output_spec() -> impl Strategy<Value = OutputSpec> {
    let mode = select(vec![OutputMode::Overwrite, OutputMode::Append, OutputMode::Error]);
    (text(), format(), mode, vec(text(), 0..3), options()).prop_map(
        |(location, format, mode, partition_by, options)| OutputSpec { location, format, mode, partition_by, options },
    )
}

fn program() -> impl Strategy<Value = Program> {
    let made = btree_map(text(), map_reduce(), 0..3);
    (text(), text(), btree_map(text(), table_spec(), 0..3), made, option::of(output_spec()))
        .prop_map(|(script, base, tables, made, output)| Program::Sql { script, base, tables, made, output })
}

fn map_reduce() -> impl Strategy<Value = MapReduce> {
    let input = prop_oneof![text().prop_map(MapReduceInput::Table), text().prop_map(MapReduceInput::Query)];
    let range = || any::<(u32, Option<u32>)>().prop_map(|(first, last)| FieldRange { first, last });
    let field =
        (range(), any::<[bool; 2]>()).prop_map(|(fields, [numeric, reverse])| SortField { fields, numeric, reverse });
    let divide = prop_oneof![Just(Divide::Hash), Just(Divide::Numbered), vec(text(), 1..3).prop_map(Divide::Points),];
    let keys = (any::<char>(), any::<u32>(), option::of(range()), vec(field, 0..3), divide)
        .prop_map(|(separator, fields, partition, sort, divide)| Keys { separator, fields, partition, sort, divide });
    let code = || option::of(user_code());
    (input, code(), code(), code(), any::<Option<u32>>(), keys, any::<bool>()).prop_map(
        |(input, map, combine, reduce, partitions, keys, deterministic)| MapReduce {
            input,
            map,
            combine,
            reduce,
            partitions,
            keys,
            deterministic,
        },
    )
}

fn user_code() -> impl Strategy<Value = UserCode> {
    let on_error = prop_oneof![
        Just(OnError::Fail),
        any::<u64>().prop_map(|records_max| OnError::Skip { records_max }),
        text().prop_map(|location| OnError::Quarantine { location }),
    ];
    let limits = any::<[Option<u64>; 4]>().prop_map(|[memory_bytes, cpu_ms, disk_bytes, fuel_per_row]| CodeLimits {
        memory_bytes,
        cpu_ms,
        disk_bytes,
        fuel_per_row,
    });
    (runs(), option::of(text()), options(), on_error, limits)
        .prop_map(|(runs, columns, env, on_error, limits)| UserCode { runs, columns, env, on_error, limits })
}

fn runs() -> impl Strategy<Value = Runs> {
    let file = || {
        (text(), any::<bool>(), vec(any::<u8>(), 0..5)).prop_map(|(name, executable, bytes)| ShippedFile {
            name,
            executable,
            bytes,
        })
    };
    let framing = select(vec![Framing::Lines, Framing::Arrow]);
    let process = (vec(text(), 0..3), framing, vec(file(), 0..3), any::<bool>())
        .prop_map(|(command, framing, files, network)| Runs::Process { command, framing, files, network });
    let wasm = (file(), text()).prop_map(|(module, function)| Runs::Wasm { module, function });
    prop_oneof![process, wasm, text().prop_map(|name| Runs::Native { name })]
}

fn job_spec() -> impl Strategy<Value = JobSpec> {
    let names = (text(), text(), text(), text());
    (names, any::<u8>(), option::of(any::<Duration>()), option::of(text()), program()).prop_map(
        |((name, application, queue, submitted_by), priority, timeout, client_token, program)| JobSpec {
            name,
            application,
            queue,
            priority,
            submitted_by,
            timeout,
            client_token,
            program,
        },
    )
}

fn worker_spec() -> impl Strategy<Value = WorkerSpec> {
    (any::<u32>(), any::<u64>(), text(), text()).prop_map(|(slots, memory_bytes, host, name)| WorkerSpec {
        slots,
        memory_bytes,
        host,
        name,
    })
}

fn step_plan() -> impl Strategy<Value = StepPlan> {
    let outcome = prop_oneof![
        Just(StepOutcome::Immediate),
        any::<u32>().prop_map(|stage| StepOutcome::Result { stage }),
        any::<u32>().prop_map(|stage| StepOutcome::Table { stage }),
        any::<u32>().prop_map(|stage| StepOutcome::Commit { stage }),
        any::<u32>().prop_map(|stage| StepOutcome::Discard { stage }),
    ];
    (vec(stage_plan(), 0..3), outcome, any::<bool>()).prop_map(|(stages, outcome, last)| StepPlan {
        stages,
        outcome,
        last,
    })
}

fn stage_plan() -> impl Strategy<Value = StagePlan> {
    let determinism = select(vec![Determinism::Determinate, Determinism::Unordered, Determinism::Indeterminate]);
    let inputs = vec(any::<u32>().prop_map(|stage| StageInput { stage }), 0..3);
    let coalescing = option::of((any::<u64>(), any::<bool>(), vec(any::<u32>(), 0..3))).prop_map(|how| {
        how.map(|(target_bytes, in_order, shareable)| Coalescing { target_bytes, in_order, shareable })
    });
    (any::<[u32; 2]>(), text(), any::<[u8; 16]>(), vec(task_plan(), 0..3), inputs, determinism, coalescing).prop_map(
        |([index, output_partitions], label, fragment, tasks, inputs, determinism, coalescing)| StagePlan {
            index,
            label,
            fragment: FragmentHash(fragment),
            tasks,
            inputs,
            output_partitions,
            determinism,
            coalescing,
        },
    )
}

fn task_plan() -> impl Strategy<Value = TaskPlan> {
    let share = option::of(any::<[u32; 3]>().prop_map(|[stage, index, of]| InputShare { stage, index, of }));
    let partitions = vec(any::<u32>(), 0..4);
    (partitions, share, any::<u32>(), any::<u64>()).prop_map(|(partitions, share, slots, input_bytes)| TaskPlan {
        partitions,
        share,
        slots,
        input_bytes,
    })
}

fn written_file() -> impl Strategy<Value = WrittenFile> {
    (text(), text(), vec(text(), 0..3), any::<[u64; 2]>())
        .prop_map(|(path, staged, parts, [rows, bytes])| WrittenFile { path, staged, parts, rows, bytes })
}

fn task_output() -> impl Strategy<Value = TaskOutput> {
    let inline = option::of(vec(any::<u8>(), 0..16));
    let counters = btree_map(text(), any::<i64>(), 0..3);
    (any::<[u64; 7]>(), vec(any::<u64>(), 0..4), inline, vec(written_file(), 0..3), counters).prop_map(
        |(
            [rows, bytes, rows_in, bytes_in, memory_bytes_peak, memory_bytes_held, spill_bytes],
            partition_bytes,
            inline,
            files,
            counters,
        )| {
            TaskOutput {
                rows,
                bytes,
                partition_bytes,
                inline,
                files,
                rows_in,
                bytes_in,
                memory_bytes_peak,
                memory_bytes_held,
                spill_bytes,
                counters,
            }
        },
    )
}

fn committed_task() -> impl Strategy<Value = CommittedTask> {
    (output_id(), vec(written_file(), 0..3)).prop_map(|(id, files)| CommittedTask {
        task: id.task,
        attempt: id.attempt,
        files,
    })
}

fn run() -> impl Strategy<Value = AttemptRun> {
    (any::<[u32; 2]>(), any::<bool>(), at(), option::of(at())).prop_map(
        |([try_number, slots], speculative, assigned_at, started_at)| AttemptRun {
            try_number,
            slots,
            speculative,
            assigned_at,
            started_at,
        },
    )
}

fn blamed() -> impl Strategy<Value = Blamed> {
    prop_oneof![
        any::<u32>().prop_map(|blames| Blamed::Current { blames }),
        Just(Blamed::Replaced),
        Just(Blamed::Foreign),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        report().prop_map(Failure::Query),
        report().prop_map(Failure::UserCode),
        report().prop_map(Failure::OutOfMemory),
        (output_id(), worker(), text(), any::<bool>())
            .prop_map(|(output, peer, detail, unreached)| Failure::FetchFailed { output, peer, detail, unreached }),
        worker().prop_map(|worker| Failure::WorkerLost { worker }),
        worker().prop_map(|worker| Failure::Preempted { worker }),
        any::<u64>().prop_map(|after_ms| Failure::TimedOut { after_ms }),
        text().prop_map(|path| Failure::DiskFull { path }),
        (output_id(), worker()).prop_map(|(output, peer)| Failure::Corrupt { output, peer }),
        report().prop_map(Failure::Panicked),
        report().prop_map(Failure::Unavailable),
        report().prop_map(Failure::Internal),
    ]
}

fn attempt_failed() -> impl Strategy<Value = Record> {
    (output_id(), worker(), failure(), option::of(blamed()), run(), at()).prop_map(
        |(id, worker, failure, blamed, run, at)| Record::AttemptFailed {
            task: id.task,
            attempt: id.attempt,
            worker,
            failure,
            blamed,
            run,
            at,
        },
    )
}
