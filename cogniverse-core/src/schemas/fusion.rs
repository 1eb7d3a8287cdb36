//! The global phase of a strategy: several signals, made comparable over the hits that it rescores.

use super::{
    expression::{self, Node, Operator},
    lower::Lowering,
    strategy::Score,
};
use cogniverse_sdk::{Error, Result, schema::GlobalPhase};

/// The supported forms, for the error about an unsupported one.
const FORMS: &str = "normalize_linear(f), reciprocal_rank(f), reciprocal_rank(f, k), numbers, sums of these, and multiples by a \
                     number, where f is a function of the profile or a rank feature such as bm25(F)";
/// The `k` of reciprocal ranks where none is given, as in Vespa.
const DEFAULT_K: f64 = 60.0;

/// The global phase of a strategy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fusion {
    /// The signals, each once.
    pub signals: Vec<Signal>,
    /// The score of a hit.
    pub formula: Formula,
    /// The number of best hits of the phases before to rescore.
    pub count: usize,
}

/// A score of one hit that a global phase compares with those of the others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Signal {
    /// The function or rank feature, as Vespa names it.
    pub name: String,
    /// The score.
    pub score: Score,
}

/// The score of a hit in a global phase.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    /// A constant.
    Constant(f64),
    /// A signal, made comparable.
    Normalized {
        /// The index of the signal in [`Fusion::signals`].
        signal: usize,
        /// The scale.
        scale: Scale,
    },
    /// The sum of two scores.
    Sum(Box<Formula>, Box<Formula>),
    /// A score multiplied by a factor.
    Scaled(f64, Box<Formula>),
}

/// The scale that a signal is brought to, over the hits that a global phase rescores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0 for the least to 1 for the greatest; 0.5 where all are equal.
    Linear,
    /// `1 / (k + rank)`, where the greatest has rank 1 and equal ones keep the order of the phases before.
    ReciprocalRank {
        /// The number added to every rank; a greater one makes the first ranks weigh less.
        k: f64,
    },
}

/// Returns the function of a global phase that a first or second phase may not call.
pub(super) fn global_only(name: &str) -> bool {
    matches!(name, "normalize_linear" | "reciprocal_rank")
}

/// Compiles a global phase.
pub(super) fn compile(lowering: &mut Lowering<'_>, phase: &GlobalPhase) -> Result<Fusion> {
    if phase.rerank_count == 0 {
        return Err(Error::invalid("rerank_count is 0; leave the global phase out"));
    }
    let node = expression::parse(&phase.expression)?;
    let mut compiler = Compiler { lowering, text: &phase.expression, signals: Vec::new() };
    let formula = compiler.formula(&node)?;
    Ok(Fusion { signals: compiler.signals, formula, count: phase.rerank_count })
}

struct Compiler<'c, 's> {
    lowering: &'c mut Lowering<'s>,
    text: &'c str,
    signals: Vec<Signal>,
}

impl Compiler<'_, '_> {
    fn formula(&mut self, node: &Node) -> Result<Formula> {
        match node {
            Node::Number(number) => Ok(Formula::Constant(*number)),
            // Not flattened: the order of additions is that of the text, so that equal inputs have equal sums everywhere.
            Node::Binary(Operator::Add, left, right) => {
                Ok(Formula::Sum(Box::new(self.formula(left)?), Box::new(self.formula(right)?)))
            }
            Node::Binary(Operator::Multiply, left, right) => match (&**left, &**right) {
                (Node::Number(factor), part) | (part, Node::Number(factor)) => {
                    Ok(Formula::Scaled(*factor, Box::new(self.formula(part)?)))
                }
                _ => Err(self.unknown()),
            },
            Node::Call(name, arguments) => {
                let (signal, scale) = match (name.as_str(), arguments.as_slice()) {
                    ("normalize_linear", [signal]) => (signal, Scale::Linear),
                    ("reciprocal_rank", [signal]) => (signal, Scale::ReciprocalRank { k: DEFAULT_K }),
                    ("reciprocal_rank", [signal, Node::Number(k)]) => (signal, Scale::ReciprocalRank { k: *k }),
                    ("reciprocal_rank", [_, _]) => {
                        return Err(Error::invalid(
                            "the second argument of reciprocal_rank is not a number; write k out",
                        ));
                    }
                    ("normalize_linear" | "reciprocal_rank", _) => {
                        return Err(Error::invalid(format!("{name} has {} arguments; {FORMS}", arguments.len())));
                    }
                    _ => return Err(self.unknown()),
                };
                Ok(Formula::Normalized { signal: self.signal(name, signal)?, scale })
            }
            Node::Name(_) | Node::Binary(..) | Node::Negated(_) => Err(self.unknown()),
        }
    }

    fn signal(&mut self, function: &str, node: &Node) -> Result<usize> {
        let plain = |argument: &Node| if let Node::Name(name) = argument { Some(name.clone()) } else { None };
        let name = match node {
            Node::Name(name) => {
                self.lowering.check_function(name)?;
                Some(name.clone())
            }
            Node::Call(feature, arguments) if matches!(feature.as_str(), "bm25" | "closeness") => {
                let arguments: Option<Vec<String>> = arguments.iter().map(plain).collect();
                arguments.map(|arguments| format!("{feature}({})", arguments.join(",")))
            }
            _ => None,
        };
        let name = name.ok_or_else(|| {
            Error::invalid(format!(
                "{function} in \"{}\" takes the name of a function or a rank feature; define a function of the profile for what it normalizes",
                expression::shortened(self.text)
            ))
        })?;
        if let Some(known) = self.signals.iter().position(|signal| signal.name == name) {
            return Ok(known);
        }
        let score = self.lowering.score(&name)?;
        self.signals.push(Signal { name, score });
        Ok(self.signals.len() - 1)
    }

    fn unknown(&self) -> Error {
        Error::invalid(format!(
            "the global phase \"{}\" is of no known form; there are: {FORMS}",
            expression::shortened(self.text)
        ))
    }
}
