//! Relations that may be joined in any order, and what joins them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, JoinType, NullEquality, Result, internal_err};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, Join, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Operator,
};

/// A set of relations of a group, a bit each.
pub type Set = u64;

/// More are not collected into one group.
pub const RELATIONS_MAX: usize = 40;

/// Inner joins, and the semi and anti joins among them, of relations that are planned on their own.
#[derive(Clone, Debug)]
pub struct Group {
    /// The plan whose top this is: the group gives its rows with its columns in its order.
    top: LogicalPlan,
    pub relations: Vec<Relation>,
    pub edges: Vec<Edge>,
    /// Conditions that are no equality of two relations, and the relations they need.
    pub conditions: Vec<(Expr, Set)>,
    /// The order as written.
    pub shape: Shape,
}

#[derive(Clone, Debug)]
pub struct Relation {
    pub plan: LogicalPlan,
    /// `None`: its columns take part in the result.
    pub tests: Option<Tests>,
}

/// A relation that only decides which rows of others stay.
#[derive(Clone, Debug)]
pub struct Tests {
    pub join_type: JoinType,
    /// Pairs of an expression of the others and one of this relation.
    pub on: Vec<(Expr, Expr)>,
    pub filter: Option<Expr>,
    /// The relations whose columns it needs.
    pub needs: Set,
}

/// An equality of two relations.
#[derive(Clone, Debug)]
pub struct Edge {
    pub left: (Expr, Set),
    pub right: (Expr, Set),
    /// Edges of one class follow from each other: a join needs one of them.
    pub class: usize,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Relation(usize),
    Join(Box<Shape>, Box<Shape>),
    Test(Box<Shape>, usize),
}

/// Joins of a plan, subqueries included.
pub fn joins(plan: &LogicalPlan) -> Result<usize> {
    let mut joins = 0;
    plan.apply_with_subqueries(|node| {
        joins += usize::from(matches!(node, LogicalPlan::Join(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(joins)
}

impl Group {
    /// The group that `plan` is the top of; `None` if there is nothing to order.
    pub fn of(plan: &LogicalPlan) -> Result<Option<Group>> {
        if !matches!(plan, LogicalPlan::Join(_)) {
            return Ok(None);
        }
        let mut collected = Collected::default();
        let Some(shape) = collected.collect(plan)? else { return Ok(None) };
        if collected.relations.len() < 2 || collected.relations.len() > RELATIONS_MAX {
            return Ok(None);
        }
        collected.group(plan.clone(), shape)
    }

    pub fn with_inputs(mut self, inputs: Vec<LogicalPlan>) -> Result<Group> {
        if inputs.len() != self.relations.len() {
            return internal_err!("a group of {} joins got {} inputs", self.relations.len(), inputs.len());
        }
        for (relation, input) in self.relations.iter_mut().zip(inputs) {
            relation.plan = input;
        }
        Ok(self)
    }

    /// The group as it was, with the inputs it has now.
    pub fn written(&self) -> Result<LogicalPlan> {
        self.build(&self.shape)
    }

    /// The plan of `shape`, with the columns of the top in their order.
    pub fn build(&self, shape: &Shape) -> Result<LogicalPlan> {
        let plan = self.joined(shape)?;
        if plan.schema().columns() == self.top.schema().columns() {
            return Ok(plan);
        }
        let columns = self.top.schema().columns().into_iter().map(Expr::Column);
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    pub fn set_of(shape: &Shape) -> Set {
        match shape {
            Shape::Relation(at) => 1 << at,
            Shape::Join(left, right) => Group::set_of(left) | Group::set_of(right),
            Shape::Test(left, at) => Group::set_of(left) | 1 << at,
        }
    }

    fn joined(&self, shape: &Shape) -> Result<LogicalPlan> {
        match shape {
            Shape::Relation(at) => self.filtered(self.relations[*at].plan.clone(), 1 << at),
            Shape::Join(left, right) => {
                let sets = (Group::set_of(left), Group::set_of(right));
                let on = self.between(sets.0, sets.1).into_iter().map(|(a, b)| (a.clone(), b.clone())).collect();
                let filter = conjunction(self.conditions_of_join(sets.0, sets.1).cloned());
                let (left, right) = (self.joined(left)?, self.joined(right)?);
                let (equality, constraint) = (NullEquality::NullEqualsNothing, JoinConstraint::On);
                let join =
                    Join::try_new(left.into(), right.into(), on, filter, JoinType::Inner, constraint, equality, false)?;
                Ok(LogicalPlan::Join(join))
            }
            Shape::Test(left, at) => {
                let relation = &self.relations[*at];
                let Some(tests) = &relation.tests else { return internal_err!("a relation without a test is tested") };
                let (equality, constraint) = (NullEquality::NullEqualsNothing, JoinConstraint::On);
                let (left, right) = (Arc::new(self.joined(left)?), Arc::new(relation.plan.clone()));
                let (on, filter) = (tests.on.clone(), tests.filter.clone());
                Ok(LogicalPlan::Join(Join::try_new(
                    left,
                    right,
                    on,
                    filter,
                    tests.join_type,
                    constraint,
                    equality,
                    false,
                )?))
            }
        }
    }

    fn filtered(&self, plan: LogicalPlan, set: Set) -> Result<LogicalPlan> {
        match conjunction(self.conditions_of(set).cloned()) {
            Some(filter) => Ok(LogicalPlan::Filter(Filter::try_new(filter, Arc::new(plan))?)),
            None => Ok(plan),
        }
    }

    /// Conditions that need these relations and no other.
    pub fn conditions_of(&self, set: Set) -> impl Iterator<Item = &Expr> {
        self.conditions.iter().filter(move |(_, needs)| *needs == set).map(|(expr, _)| expr)
    }

    /// Conditions that can be tested when two sets come together, and not before.
    pub fn conditions_of_join(&self, left: Set, right: Set) -> impl Iterator<Item = &Expr> {
        let within = |needs: Set, set: Set| needs & !set == 0;
        let new = move |needs| within(needs, left | right) && !within(needs, left) && !within(needs, right);
        self.conditions.iter().filter(move |(_, needs)| new(*needs)).map(|(expr, _)| expr)
    }

    pub fn are_joined(&self, left: Set, right: Set) -> bool {
        let joins = |a: Set, b: Set| a & !left == 0 && b & !right == 0;
        self.edges.iter().any(|edge| joins(edge.left.1, edge.right.1) || joins(edge.right.1, edge.left.1))
    }

    /// One equality of each class between two sets, the left set's expression first.
    pub fn between(&self, left: Set, right: Set) -> Vec<(&Expr, &Expr)> {
        let mut classes = BTreeSet::new();
        let mut found = Vec::new();
        for edge in &self.edges {
            let (a, b) = (&edge.left, &edge.right);
            let pair = if a.1 & !left == 0 && b.1 & !right == 0 {
                (&a.0, &b.0)
            } else if b.1 & !left == 0 && a.1 & !right == 0 {
                (&b.0, &a.0)
            } else {
                continue;
            };
            if classes.insert(edge.class) {
                found.push(pair);
            }
        }
        found
    }
}

/// A group in the making.
#[derive(Default)]
struct Collected {
    relations: Vec<Relation>,
    equalities: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
}

impl Collected {
    /// `None`: something is there that cannot be ordered.
    fn collect(&mut self, plan: &LogicalPlan) -> Result<Option<Shape>> {
        match plan {
            LogicalPlan::Join(join) if is_ordered(join) => self.collect_join(join),
            LogicalPlan::Filter(filter) if joins_below(&filter.input) => {
                let Some(shape) = self.collect(&filter.input)? else { return Ok(None) };
                self.conditions.extend(split_conjunction(&filter.predicate).into_iter().cloned());
                Ok(Some(shape))
            }
            // It only drops columns.
            LogicalPlan::Projection(projection)
                if joins_below(&projection.input)
                    && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
            {
                self.collect(&projection.input)
            }
            _ => {
                self.relations.push(Relation { plan: plan.clone(), tests: None });
                Ok(Some(Shape::Relation(self.relations.len() - 1)))
            }
        }
    }

    fn collect_join(&mut self, join: &Join) -> Result<Option<Shape>> {
        let Some(left) = self.collect(&join.left)? else { return Ok(None) };
        if join.join_type != JoinType::Inner {
            let tests = Tests { join_type: join.join_type, on: join.on.clone(), filter: join.filter.clone(), needs: 0 };
            self.relations.push(Relation { plan: join.right.as_ref().clone(), tests: Some(tests) });
            return Ok(Some(Shape::Test(Box::new(left), self.relations.len() - 1)));
        }
        let Some(right) = self.collect(&join.right)? else { return Ok(None) };
        self.equalities.extend(join.on.iter().cloned());
        self.conditions.extend(join.filter.iter().flat_map(split_conjunction).cloned());
        Ok(Some(Shape::Join(Box::new(left), Box::new(right))))
    }

    fn group(mut self, top: LogicalPlan, shape: Shape) -> Result<Option<Group>> {
        // Dice are rolled as often as is written.
        let tests = self.relations.iter().filter_map(|relation| relation.tests.as_ref());
        let tested = tests.flat_map(|tests| tests.on.iter().flat_map(|(a, b)| [a, b]).chain(&tests.filter));
        let pairs = self.equalities.iter().flat_map(|(a, b)| [a, b]);
        if pairs.chain(&self.conditions).chain(tested).any(Expr::is_volatile) {
            return Ok(None);
        }
        let mut owners: HashMap<Column, Set> = HashMap::new();
        for (at, relation) in self.relations.iter().enumerate().filter(|(_, relation)| relation.tests.is_none()) {
            for column in relation.plan.schema().columns() {
                if owners.insert(column, 1 << at).is_some() {
                    // A projection has kept two columns of one name apart.
                    return Ok(None);
                }
            }
        }
        // `None` if a column is of none of them.
        let set_of = |expr: &Expr| {
            expr.column_refs().into_iter().try_fold(0, |set: Set, column| Some(set | owners.get(column)?))
        };
        for relation in &mut self.relations {
            let Some(tests) = &mut relation.tests else { continue };
            for (outer, _) in &tests.on {
                let Some(set) = set_of(outer) else { return Ok(None) };
                tests.needs |= set;
            }
            for column in tests.filter.iter().flat_map(|filter| filter.column_refs()) {
                if relation.plan.schema().has_column(column) {
                    continue;
                }
                let Some(set) = owners.get(column) else { return Ok(None) };
                tests.needs |= set;
            }
            if tests.needs == 0 {
                return Ok(None);
            }
        }
        let mut conditions = Vec::new();
        for expr in std::mem::take(&mut self.conditions) {
            match as_equality(&expr) {
                Some((a, b)) => self.equalities.push((a.clone(), b.clone())),
                None => {
                    let Some(set) = set_of(&expr).filter(|set| *set != 0) else { return Ok(None) };
                    conditions.push((expr, set));
                }
            }
        }
        let mut edges = Vec::new();
        for (a, b) in &self.equalities {
            let (Some(left), Some(right)) = (set_of(a), set_of(b)) else { return Ok(None) };
            if left == 0 || right == 0 || left & right != 0 {
                let equal = a.clone().eq(b.clone());
                let Some(set) = set_of(&equal).filter(|set| *set != 0) else { return Ok(None) };
                conditions.push((equal, set));
                continue;
            }
            let class = edges.len();
            edges.push(Edge { left: (a.clone(), left), right: (b.clone(), right), class });
        }
        let (edges, within) = with_derived(edges);
        conditions.extend(within);
        Ok(Some(Group { top, relations: self.relations, edges, conditions, shape }))
    }
}

fn is_ordered(join: &Join) -> bool {
    let semi = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) && !join.on.is_empty();
    let inner = join.join_type == JoinType::Inner && !join.on.is_empty();
    (semi || inner) && join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware
}

/// Whether below filters and projections of columns there is a join that may be ordered.
fn joins_below(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => is_ordered(join),
        LogicalPlan::Filter(filter) => joins_below(&filter.input),
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && joins_below(&projection.input)
        }
        _ => false,
    }
}

fn as_equality(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => Some((left, right)),
        _ => None,
    }
}

/// Columns that are equal to a third one are equal to each other, which allows orders that were not written. Two columns
/// of one relation that are equal in this way are a condition of that relation: a join needs one edge of a class only.
fn with_derived(edges: Vec<Edge>) -> (Vec<Edge>, Vec<(Expr, Set)>) {
    let mut members: Vec<Vec<(Column, Set)>> = Vec::new();
    for edge in &edges {
        let (Expr::Column(a), Expr::Column(b)) = (&edge.left.0, &edge.right.0) else {
            continue;
        };
        let ends = [(a.clone(), edge.left.1), (b.clone(), edge.right.1)];
        let mut merged: Vec<(Column, Set)> = ends.to_vec();
        members.retain(|class| {
            let same = class.iter().any(|member| ends.contains(member));
            if same {
                merged.extend(class.iter().filter(|member| !ends.contains(member)).cloned());
            }
            !same
        });
        members.push(merged);
    }
    let (mut all, mut within, mut next) = (Vec::new(), Vec::new(), members.len());
    for (class, columns) in members.iter().enumerate() {
        for (at, a) in columns.iter().enumerate() {
            for b in &columns[at + 1..] {
                let end = |(column, set): &(Column, Set)| (Expr::Column(column.clone()), *set);
                let (left, right) = (end(a), end(b));
                if left.1 == right.1 {
                    within.push((left.0.eq(right.0), left.1));
                } else {
                    all.push(Edge { left, right, class });
                }
            }
        }
    }
    for mut edge in edges {
        if !matches!((&edge.left.0, &edge.right.0), (Expr::Column(_), Expr::Column(_))) {
            edge.class = next;
            next += 1;
            all.push(edge);
        }
    }
    (all, within)
}
