//! Document selection: conditions of writes and visits.
//!
//! Three values, as in Vespa: a comparison with a field that has no value is neither true nor false, save with `null`.

mod parse;

pub(crate) use parse::parse;

use super::{store::Stored, value::Value};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    Constant(bool),
    /// The document is of this type.
    Type(String),
    And(Box<Selection>, Box<Selection>),
    Or(Box<Selection>, Box<Selection>),
    Not(Box<Selection>),
    Compare(Operand, Operator, Operand),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Null,
    Number(f64),
    Text(String),
    Bool(bool),
    /// `type.field`; with `[$x]`, each element.
    Field {
        document_type: String,
        name: String,
        each: bool,
    },
    /// `id`, `id.namespace`, `id.type`, `id.specific`, `id.user`, `id.group`.
    Id(String),
}

/// How two sides compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Glob,
}

/// Why a selection cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SelectionError {
    Syntax(String),
    /// A field that the document's type lacks.
    Field {
        name: String,
        document_type: String,
    },
}

impl SelectionError {
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Syntax(text) => text.clone(),
            Self::Field { name, document_type } => {
                format!("Field '{name}' not found in document type '{document_type}'")
            }
        }
    }
}

impl Selection {
    /// Whether the document is selected.
    pub(crate) fn selects(&self, stored: &Stored) -> bool {
        self.evaluate(stored) == Some(true)
    }

    /// Refuses fields that a type lacks.
    pub(crate) fn check(&self, document_type: &str, has: &dyn Fn(&str) -> bool) -> Result<(), SelectionError> {
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.check(document_type, has)?;
                b.check(document_type, has)
            }
            Self::Not(inner) => inner.check(document_type, has),
            Self::Compare(a, _, b) => [a, b].into_iter().try_for_each(|operand| match operand {
                Operand::Field { document_type: named, name, .. } if named == document_type && !has(name) => {
                    Err(SelectionError::Field { name: name.clone(), document_type: named.clone() })
                }
                _ => Ok(()),
            }),
            Self::Constant(_) | Self::Type(_) => Ok(()),
        }
    }

    fn evaluate(&self, stored: &Stored) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Type(name) => Some(*name == stored.id.document_type),
            Self::And(a, b) => match (a.evaluate(stored), b.evaluate(stored)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.evaluate(stored), b.evaluate(stored)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.evaluate(stored).map(|value| !value),
            Self::Compare(left, operator, right) => {
                let (left, right) = (left.values(stored)?, right.values(stored)?);
                let (nothing, null) = (left.is_empty() || right.is_empty(), left == right);
                if nothing {
                    // An empty side stands for `null`, or for a field without a value.
                    return match operator {
                        Operator::Equal => Some(null),
                        Operator::Unequal => Some(!null),
                        _ => None,
                    };
                }
                Some(left.iter().any(|left| right.iter().any(|right| operator.holds(left, right))))
            }
        }
    }
}

/// A value to compare.
#[derive(Debug, Clone, PartialEq)]
enum Comparable {
    Number(f64),
    Text(String),
    /// A value that equals nothing but is there.
    Present,
}

impl Operand {
    /// The values; none for `null` and missing fields. `None` where the field belongs to another type.
    fn values(&self, stored: &Stored) -> Option<Vec<Comparable>> {
        let of = |value: &Value| match value {
            Value::Text(text) => Comparable::Text(text.clone()),
            Value::Integer(_) | Value::Real(_) | Value::Bool(_) => {
                Comparable::Number(value.number().unwrap_or(f64::NAN))
            }
            _ => Comparable::Present,
        };
        let text = |text: &str| vec![Comparable::Text(text.to_owned())];
        Some(match self {
            Self::Null => Vec::new(),
            Self::Number(number) => vec![Comparable::Number(*number)],
            Self::Text(value) => text(value),
            Self::Bool(value) => vec![Comparable::Number(f64::from(u8::from(*value)))],
            Self::Field { document_type, .. } if *document_type != stored.id.document_type => return None,
            Self::Field { name, each, .. } => match stored.fields.get(name) {
                Some(Value::List(items)) if *each => items.iter().map(of).collect(),
                Some(value) => vec![of(value)],
                None => Vec::new(),
            },
            Self::Id(part) => match part.as_str() {
                "" => text(&stored.id.to_string()),
                "scheme" => text("id"),
                "namespace" => text(&stored.id.namespace),
                "type" => text(&stored.id.document_type),
                "specific" => text(&stored.id.rest),
                "group" => match &stored.id.place {
                    super::document_id::Place::Group(group) => text(group),
                    _ => Vec::new(),
                },
                _ => match &stored.id.place {
                    super::document_id::Place::Number(number) => vec![Comparable::Number(*number as f64)],
                    _ => Vec::new(),
                },
            },
        })
    }
}

impl Operator {
    fn holds(self, left: &Comparable, right: &Comparable) -> bool {
        let order = match (left, right) {
            (Comparable::Number(a), Comparable::Number(b)) => a.partial_cmp(b),
            (Comparable::Text(a), Comparable::Text(b)) if self == Self::Glob => return glob(b, a),
            (Comparable::Text(a), Comparable::Text(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match self {
            Self::Equal | Self::Glob => order.is_some_and(std::cmp::Ordering::is_eq),
            Self::Unequal => !order.is_some_and(std::cmp::Ordering::is_eq),
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

/// `*` and `?`.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for part in pattern {
        let mut next = vec![false; reached.len()];
        let mut open = false;
        for (place, slot) in next.iter_mut().enumerate() {
            let here = reached.get(place).copied().unwrap_or(false);
            let before = place.checked_sub(1).and_then(|before| Some((reached.get(before)?, text.get(before)?)));
            open |= here;
            *slot = match part {
                '*' => open,
                c => before.is_some_and(|(reached, found)| *reached && (c == '?' || c == *found)),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}
