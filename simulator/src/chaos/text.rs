//! The chaos file: one incident a line.
//!
//! ```text
//! # when  what
//! 10s  crash worker 3 for 5s          # its process ends and starts again 5 s later; without `for` it stays away
//! 10s  power worker 3-7 for 60s       # so do their nodes: nobody is told
//! 12s  pause coordinator 0 for 20s
//! 12s  drain worker 3 within 10s for 60s
//! 12s  preempt worker 0-9 within 30s for 10m
//! 15s  wipe worker 2                  # its outputs are lost, it goes on
//! 15s  break worker 2                 # its connection breaks
//! 30s  cut worker 3 -> coordinator 0 for 5s
//! 30s  cut worker 3 <-> all for 5s
//! 40s  stop store for 5s              # or: stop location for 5s
//! 60s  heal                           # everything is repaired
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use windrow_model::{Timestamp, parse_duration};

use crate::chaos::{Action, Cut, Script};
use crate::node::Node;

/// How long a cut or an outage without `for` lasts: longer than any run.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A line of a chaos file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseChaosError {
    /// From 1.
    pub line: usize,
    pub text: String,
    pub wanted: &'static str,
}

impl fmt::Display for ParseChaosError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the chaos file, `{}`, cannot be read; wanted is {}", self.line, self.text, self.wanted)
    }
}

impl std::error::Error for ParseChaosError {}

/// The nodes that a chaos file may name.
#[derive(Clone, Copy, Debug)]
struct Nodes {
    workers: u32,
    coordinators: u32,
}

impl FromStr for Script {
    type Err = ParseChaosError;

    fn from_str(text: &str) -> Result<Script, ParseChaosError> {
        Script::of_nodes(text, u32::MAX, u32::MAX)
    }
}

impl Script {
    /// Reads a chaos file for a cluster of so many nodes; one that names others is refused.
    pub fn of_nodes(text: &str, workers: u32, coordinators: u32) -> Result<Script, ParseChaosError> {
        let nodes = Nodes { workers, coordinators };
        let mut script = Script::default();
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = content.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let error = |wanted| ParseChaosError { line: number, text: line.trim().to_owned(), wanted };
            read_line(&words, nodes, &mut script).map_err(error)?;
        }
        script.incidents.sort_by_key(|(at, _)| *at);
        Ok(script)
    }
}

type Read<T> = Result<T, &'static str>;

fn read_line(words: &[&str], nodes: Nodes, script: &mut Script) -> Read<()> {
    let at = Timestamp(0) + duration(words.first())?;
    match words[1..] {
        ["heal"] => script.heals_at = Some(at),
        ["stop", service, ref rest @ ..] => {
            let lasts = option(rest, "for")?.unwrap_or(FOR_EVER);
            script.incidents.push((at, stop(service, lasts)?));
        }
        ["cut", ref rest @ ..] => {
            for cut in cuts(rest, nodes)? {
                let lasts = option(rest, "for")?.unwrap_or(FOR_EVER);
                script.incidents.push((at, Action::Partition { cut, lasts }));
            }
        }
        [verb, kind, which, ref rest @ ..] => {
            for index in nodes.range(kind, which)? {
                script.incidents.push((at, strike(verb, kind, index, rest)?));
            }
        }
        _ => return Err("a time, a verb and what it strikes, such as `10s crash worker 3`"),
    }
    Ok(())
}

fn stop(service: &str, lasts: Duration) -> Read<Action> {
    match service {
        "store" => Ok(Action::StoreDown { lasts }),
        "location" => Ok(Action::LocationDown { lasts }),
        _ => Err("`store` or `location`"),
    }
}

fn strike(verb: &str, kind: &str, index: u32, rest: &[&str]) -> Read<Action> {
    let lasts = option(rest, "for")?;
    let within = option(rest, "within")?;
    Ok(match (verb, kind) {
        ("crash", "worker") => Action::CrashWorker { worker: index, power: false, restart: lasts },
        ("power", "worker") => Action::CrashWorker { worker: index, power: true, restart: lasts },
        ("pause", "worker") => Action::PauseWorker { worker: index, lasts: lasts.unwrap_or(FOR_EVER) },
        ("drain", "worker") => Action::DrainWorker { worker: index, within, back: lasts },
        ("preempt", "worker") => {
            Action::PreemptWorker { worker: index, notice: within.unwrap_or_default(), back: lasts }
        }
        ("wipe", "worker") => Action::WipeWorker { worker: index },
        ("break", "worker") => Action::BreakLink { worker: index },
        ("crash", "coordinator") => Action::CrashCoordinator { coordinator: index, restart: lasts },
        ("pause", "coordinator") => Action::PauseCoordinator { coordinator: index, lasts: lasts.unwrap_or(FOR_EVER) },
        _ => {
            return Err(
                "crash, power, pause, drain, preempt, wipe or break of a worker; crash or pause of a coordinator",
            );
        }
    })
}

/// `worker 3 -> coordinator 0`, `worker 3 <-> all`.
fn cuts(words: &[&str], nodes: Nodes) -> Read<Vec<Cut>> {
    const WANTED: &str = "two ends with `->` or `<->` between them, such as `cut worker 3 -> all`";
    let arrow = words.iter().position(|word| matches!(*word, "->" | "<->")).ok_or(WANTED)?;
    let end = words.iter().position(|word| *word == "for").unwrap_or(words.len());
    let to = words.get(arrow + 1..end).ok_or(WANTED)?;
    let (from, to) = (ends(&words[..arrow], nodes)?, ends(to, nodes)?);
    let mut cuts = Vec::new();
    for &from in &from {
        for &to in &to {
            cuts.push(Cut { from, to });
            if words[arrow] == "<->" {
                cuts.push(Cut { from: to, to: from });
            }
        }
    }
    Ok(cuts)
}

fn ends(words: &[&str], nodes: Nodes) -> Read<Vec<Option<Node>>> {
    match words {
        ["all"] => Ok(vec![None]),
        ["store"] => Ok(vec![Some(Node::Store)]),
        ["location"] => Ok(vec![Some(Node::Location)]),
        ["worker", which] => Ok(nodes.range("worker", which)?.map(|index| Some(Node::Worker(index))).collect()),
        ["coordinator", which] => {
            Ok(nodes.range("coordinator", which)?.map(|index| Some(Node::Coordinator(index))).collect())
        }
        _ => Err("an end: all, store, location, worker N or coordinator N"),
    }
}

impl Nodes {
    /// Nodes of one kind that there are: `3` or `3-7`.
    fn range(self, kind: &str, text: &str) -> Read<std::ops::RangeInclusive<u32>> {
        let range = range(text)?;
        let (count, wanted) = match kind {
            "coordinator" => (self.coordinators, "a coordinator that is there; they count from 0"),
            _ => (self.workers, "a worker that is there; they count from 0"),
        };
        if *range.end() < count { Ok(range) } else { Err(wanted) }
    }
}

/// `3` or `3-7`.
fn range(text: &str) -> Read<std::ops::RangeInclusive<u32>> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| "a number or a range, such as `3` or `3-7`");
    match text.split_once('-') {
        Some((first, last)) => Ok(number(first)?..=number(last)?),
        None => number(text).map(|number| number..=number),
    }
}

fn option(words: &[&str], name: &str) -> Read<Option<Duration>> {
    match words.iter().position(|word| *word == name) {
        Some(at) => duration(words.get(at + 1)).map(Some),
        None => Ok(None),
    }
}

fn duration(word: Option<&&str>) -> Read<Duration> {
    word.and_then(|word| parse_duration(word).ok()).ok_or("a time, such as `10s`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read() {
        let text = "
            # a bad day
            10s power worker 3-4 for 5s
            5s  pause coordinator 0 for 20s
            12s preempt worker 1 within 30s
            30s cut worker 3 <-> all for 5s
            40s stop store for 5s
            60s heal
        ";
        let script: Script = text.parse().expect("it reads");
        assert_eq!(script.incidents.len(), 7);
        assert_eq!(script.heals_at, Some(Timestamp(60_000_000)));
        let seconds = Duration::from_secs;
        let (at, first) = &script.incidents[0];
        assert_eq!(*at, Timestamp(5_000_000));
        assert_eq!(*first, Action::PauseCoordinator { coordinator: 0, lasts: seconds(20) });
        let preempt = Action::PreemptWorker { worker: 1, notice: seconds(30), back: None };
        assert!(script.incidents.contains(&(Timestamp(12_000_000), preempt)));
        let cut = Cut { from: None, to: Some(Node::Worker(3)) };
        let cut = Action::Partition { cut, lasts: seconds(5) };
        assert!(script.incidents.contains(&(Timestamp(30_000_000), cut)));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = "10s crash worker 3\n11s smash worker 3".parse::<Script>().expect_err("there is no such verb");
        assert_eq!((error.line, error.text.as_str()), (2, "11s smash worker 3"));
        assert!("soon crash worker 3".parse::<Script>().is_err());
        assert!("1s cut worker 3 for 5s".parse::<Script>().is_err());
    }

    #[test]
    fn a_node_that_is_not_there_is_refused() {
        assert!(Script::of_nodes("1s crash worker 0-3\n2s cut coordinator 1 -> all", 4, 2).is_ok());
        for text in ["1s crash worker 4", "1s crash worker 3-4294967295", "1s cut all <-> coordinator 2"] {
            let error = Script::of_nodes(text, 4, 2).expect_err(text);
            assert!(error.wanted.contains("they count from 0"), "{error}");
        }
    }
}
