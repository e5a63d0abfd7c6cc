//! The cheapest order: every order of up to ten relations, and beyond it the cheapest next join each time.

use std::collections::HashMap;

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;

use super::estimate::{Estimate, Size, joined};
use super::graph::{Group, Set, Shape};
use super::measure::Measured;

/// All subsets of this many relations are looked at: 3^10 pairs of them take some milliseconds.
const EXACT_MAX: usize = 10;
/// Another order must be cheaper than this part of the written one: estimates are wrong by more than a few per cent.
const GAIN_MIN: f64 = 0.9;

/// What a row costs beside reading it: to be put into a hash table, to be looked up in one, to come out of a join.
const BUILD: f64 = 3.5;
const PROBE: f64 = 1.0;
const EMIT: f64 = 1.0;
/// Bytes that cost as much to exchange as a row costs to be looked up.
const BYTES_A_UNIT: f64 = 16.0;
/// A build side of so many bytes is sent to everyone, and the other side stays where it is.
const BROADCAST_BYTES: f64 = (16 << 20) as f64;

#[derive(Clone, Debug)]
struct Best {
    shape: Shape,
    size: Size,
    cost: f64,
}

/// A join that may come next, of the part at `at`.
struct Next {
    added: f64,
    at: usize,
    with: With,
    joined: Best,
}

/// What it is joined with.
enum With {
    Part(usize),
    Test(usize),
}

/// A cheaper order of `group`; `None` if there is none that is known to be.
pub fn better_order(group: &Group, measured: &Measured) -> Result<Option<LogicalPlan>> {
    let estimate = Estimate::new(measured);
    let mut relations = Vec::new();
    for (at, relation) in group.relations.iter().enumerate() {
        let Some(size) = estimate.of(&relation.plan)? else { return Ok(None) };
        relations.push(estimate.filtered(size, group.conditions_of(1 << at)));
    }
    let search = Search { group, estimate: &estimate, relations };
    let Some(written) = search.of_shape(&group.shape) else { return Ok(None) };
    let best = if group.relations.len() <= EXACT_MAX { search.exact() } else { search.greedy() };
    match best {
        Some(best) if best.cost < written.cost * GAIN_MIN => {
            tracing::debug!(written = written.cost, ordered = best.cost, rows = best.size.rows, "joins ordered");
            Ok(Some(group.build(&best.shape)?))
        }
        _ => Ok(None),
    }
}

struct Search<'a> {
    group: &'a Group,
    estimate: &'a Estimate<'a>,
    relations: Vec<Size>,
}

impl Search<'_> {
    fn relation(&self, at: usize) -> Best {
        Best { shape: Shape::Relation(at), size: self.relations[at].clone(), cost: 0.0 }
    }

    fn is_result(&self, at: usize) -> bool {
        self.group.relations[at].tests.is_none()
    }

    fn of_shape(&self, shape: &Shape) -> Option<Best> {
        match shape {
            Shape::Relation(at) => Some(self.relation(*at)),
            Shape::Join(left, right) => self.join(&self.of_shape(left)?, &self.of_shape(right)?),
            Shape::Test(left, at) => self.test(&self.of_shape(left)?, *at),
        }
    }

    /// `None` if nothing joins them.
    fn join(&self, left: &Best, right: &Best) -> Option<Best> {
        let sets = (Group::set_of(&left.shape), Group::set_of(&right.shape));
        let size = self.joined(sets, &left.size, &right.size)?;
        Some(with_cost(left, right, size, Shape::Join(Box::new(left.shape.clone()), Box::new(right.shape.clone()))))
    }

    fn joined(&self, (a, b): (Set, Set), left: &Size, right: &Size) -> Option<Size> {
        let pairs = self.group.between(a, b);
        if pairs.is_empty() {
            return None;
        }
        Some(self.estimate.filtered(joined(left, right, &pairs), self.group.conditions_of_join(a, b)))
    }

    /// `None` if the test needs more than `left` has.
    fn test(&self, left: &Best, at: usize) -> Option<Best> {
        let tests = self.group.relations[at].tests.as_ref()?;
        if tests.needs & !Group::set_of(&left.shape) != 0 {
            return None;
        }
        let size = self.estimate.tested(&left.size, &self.relations[at], tests);
        Some(with_cost(left, &self.relation(at), size, Shape::Test(Box::new(left.shape.clone()), at)))
    }

    fn exact(&self) -> Option<Best> {
        let count = self.relations.len();
        let mut best: HashMap<Set, Best> = HashMap::new();
        for set in 1..1_u64 << count {
            let found = self.best_of(set, &best);
            if let Some(found) = found {
                best.insert(set, found);
            }
        }
        best.remove(&((1 << count) - 1))
    }

    /// All ways to make `set` of two smaller ones. Its size is that of the first: it does not depend on the way.
    fn best_of(&self, set: Set, best: &HashMap<Set, Best>) -> Option<Best> {
        if set.count_ones() == 1 {
            let at = set.trailing_zeros() as usize;
            return self.is_result(at).then(|| self.relation(at));
        }
        let (mut size, mut found): (Option<Size>, Option<(f64, Set)>) = (None, None);
        let mut offer = |right: Set, added: f64| {
            if found.is_none_or(|(cost, _)| added < cost) {
                found = Some((added, right));
            }
        };
        for at in (0..self.relations.len()).filter(|at| set & 1 << at != 0) {
            let Some(tests) = &self.group.relations[at].tests else { continue };
            let left = set & !(1 << at);
            let Some(tested) = best.get(&left).filter(|_| tests.needs & !left == 0) else { continue };
            let size = size.get_or_insert_with(|| self.estimate.tested(&tested.size, &self.relations[at], tests));
            offer(1 << at, tested.cost + cost(&tested.size, &self.relations[at], size));
        }
        // Each split once: the lowest relation is on the left.
        let lowest = set & set.wrapping_neg();
        let mut right = (set - 1) & set;
        while right != 0 {
            let left = set & !right;
            if right & lowest == 0
                && let (Some(a), Some(b)) = (best.get(&left), best.get(&right))
                && self.group.are_joined(left, right)
            {
                if size.is_none() {
                    size = self.joined((left, right), &a.size, &b.size);
                }
                if let Some(size) = &size {
                    offer(right, a.cost + b.cost + cost(&a.size, &b.size, size));
                }
            }
            right = (right - 1) & set;
        }
        let (cost, right) = found?;
        let left = Box::new(best.get(&(set & !right))?.shape.clone());
        let shape = match best.get(&right) {
            Some(joined) => Shape::Join(left, Box::new(joined.shape.clone())),
            None => Shape::Test(left, right.trailing_zeros() as usize),
        };
        Some(Best { shape, size: size?, cost })
    }

    fn greedy(&self) -> Option<Best> {
        let (results, mut tests): (Vec<usize>, Vec<usize>) =
            (0..self.relations.len()).partition(|at| self.is_result(*at));
        let mut parts: Vec<Best> = results.into_iter().map(|at| self.relation(at)).collect();
        while parts.len() > 1 || !tests.is_empty() {
            let mut next: Option<Next> = None;
            let mut offer = |offered: Next| {
                if next.as_ref().is_none_or(|next| offered.added < next.added) {
                    next = Some(offered);
                }
            };
            for (at, part) in parts.iter().enumerate() {
                for (with, other) in parts.iter().enumerate().skip(at + 1) {
                    if let Some(joined) = self.join(part, other) {
                        let added = joined.cost - part.cost - other.cost;
                        offer(Next { added, at, with: With::Part(with), joined });
                    }
                }
                for (nth, test) in tests.iter().enumerate() {
                    if let Some(joined) = self.test(part, *test) {
                        offer(Next { added: joined.cost - part.cost, at, with: With::Test(nth), joined });
                    }
                }
            }
            let Next { at, with, joined, .. } = next?;
            parts[at] = joined;
            match with {
                With::Part(with) => {
                    parts.remove(with);
                }
                With::Test(nth) => {
                    tests.remove(nth);
                }
            }
        }
        parts.pop()
    }
}

fn with_cost(left: &Best, right: &Best, size: Size, shape: Shape) -> Best {
    let cost = left.cost + right.cost + cost(&left.size, &right.size, &size);
    Best { shape, size, cost }
}

/// Of one join, without its inputs. The smaller side is built.
fn cost(left: &Size, right: &Size, out: &Size) -> f64 {
    let (build, probe) = if left.table_bytes() <= right.table_bytes() { (left, right) } else { (right, left) };
    let exchanged = if build.table_bytes() <= BROADCAST_BYTES { build.bytes() } else { build.bytes() + probe.bytes() };
    build.rows * BUILD + probe.rows * PROBE + out.rows * EMIT + exchanged / BYTES_A_UNIT
}
