# One verb per daily job; each line is a plain command that also works without `just`.

# Lists the verbs.
default:
    @just --list

# Formats all Rust code.
fmt:
    cargo fmt --all

# Checks the format and all lints; warnings are errors.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Runs all tests.
test:
    cargo test --release --workspace

# Rewrites the expected outputs of snapshot and script tests.
bless:
    UPDATE_EXPECT=1 cargo test --release --workspace

# Runs the sqllogictest files whose name contains `file` on plain DataFusion, one worker and four workers.
slt file="":
    WINDROW_SLT={{ file }} cargo test --release -p windrow-client --test slt

# Runs new seeds of the simulation for some minutes, for example `just soak 60`; WINDROW_SEED replays one in `tests/seeds.rs`.
soak minutes="10":
    cargo run --release -p windrow-simulator --example soak -- --minutes {{ minutes }}

# Runs the tests that start, stop and kill real processes.
cluster:
    cargo test --release -p windrow-client --test cluster

# Runs the tests that cut the links between containers. Needs root, Docker, docker-compose and etcd.
container:
    cargo test --release -p windrow-client --test container

# Runs TPC-H scale 1 until 30 workers and 8 leaders were killed in the middle of jobs; prints a table. Needs etcd.
survive:
    cargo test --release -p windrow-client --test cluster -- --ignored --nocapture survives

# Compares TPC-H on Windrow with single-process DataFusion, for example `just bench --scale 1`.
bench *args:
    cargo run --release -p windrow-benches -- tpch {{ args }}

# Runs another benchmark by its name (profile, workload, stars, latency, dispatch), for example `just measure stars`.
measure name *args:
    cargo run --release -p windrow-benches -- {{ name }} {{ args }}

# Measures the scheduling core alone in all shapes of work; names choose some, `--json` prints objects.
bench-core *args:
    cargo run --release -p windrow-scheduler --example throughput -- {{ args }}

# Starts a coordinator and workers as processes of this machine, until Ctrl-C.
up *args:
    cargo run --release -- up {{ args }}

# Does exactly what the build server does.
ci:
    bash .ci/run
