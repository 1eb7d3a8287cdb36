//! Validation of a language model's decisions. The model proposes; these rules decide.

use super::{bounds, report::MemoryAction};
use cogniverse_sdk::Memory;
use std::collections::HashSet;

/// The largest number of facts extracted from one turn.
pub(super) const MAX_FACTS: usize = 32;
/// The largest length of a stored reason, in characters.
const MAX_REASON: usize = 300;

/// The model's answer with facts.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Facts {
    pub(super) facts: Vec<String>,
}

/// The model's answer with decisions.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Answers {
    pub(super) decisions: Vec<Answer>,
}

/// One decision of the model.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Answer {
    pub(super) fact: usize,
    pub(super) action: MemoryAction,
    #[serde(default)]
    pub(super) memory: Option<usize>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) reason: String,
}

/// A validated action for one fact.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Add,
    Update { memory: Memory, text: String },
    Delete { memory: Memory },
    Keep { memory: Option<Memory> },
}

/// Returns one step for each fact, in order, with its reason.
///
/// Only memories shown to the model can change, each once per turn, and no pinned one. A fact without a valid
/// decision is added: a duplicate is better than a loss.
pub(super) fn settle(facts: &[&str], known: &[Memory], answers: &[Answer]) -> Vec<(Step, String)> {
    let mut changed = HashSet::new();
    let mut steps = Vec::with_capacity(facts.len());
    for (place, fact) in facts.iter().enumerate() {
        let Some(answer) = answers.iter().find(|answer| answer.fact == place) else {
            steps.push((Step::Add, "the model did not decide about it".to_owned()));
            continue;
        };
        let memory = answer.memory.and_then(|number| known.get(number));
        let free = memory.filter(|memory| !memory.pinned && !changed.contains(&memory.id));
        let reason = shortened(&answer.reason);
        steps.push(match (answer.action, memory, free) {
            (MemoryAction::Add, ..) => (Step::Add, reason),
            (MemoryAction::None, memory, _) => (Step::Keep { memory: memory.cloned() }, reason),
            (action, None, _) => (Step::Add, format!("the model named no memory to {action:?}: {reason}")),
            (MemoryAction::Delete, Some(memory), None) => {
                (Step::Keep { memory: Some(memory.clone()) }, format!("the memory may not be deleted: {reason}"))
            }
            (_, Some(_), None) => (Step::Add, format!("the memory may not be changed: {reason}")),
            (action, _, Some(memory)) => {
                changed.insert(memory.id.clone());
                let memory = memory.clone();
                if action == MemoryAction::Delete {
                    (Step::Delete { memory }, reason)
                } else {
                    let text = answer.text.as_deref().and_then(|text| bounds::check_text(text).ok());
                    (Step::Update { memory, text: text.unwrap_or(fact).to_owned() }, reason)
                }
            }
        });
    }
    steps
}

fn shortened(reason: &str) -> String {
    let plain: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{AgentId, MemoryId, MemoryScope, Timestamp, memory::NewMemory};

    fn memory(id: &str, pinned: bool) -> Memory {
        let mut new = NewMemory::new(format!("text of {id}"), vec![1.0], "m");
        new.pinned = pinned;
        let scope = MemoryScope::new(AgentId::parse("video").unwrap());
        Memory::first(MemoryId::parse(id).unwrap(), scope, new, Timestamp::UNIX_EPOCH)
    }

    fn words(step: &Step) -> String {
        match step {
            Step::Add => "add".to_owned(),
            Step::Update { memory, text } => format!("update {} to {text}", memory.id),
            Step::Delete { memory } => format!("delete {}", memory.id),
            Step::Keep { memory } => format!("keep {}", memory.as_ref().map_or("-", |memory| memory.id.as_str())),
        }
    }

    /// Tests model answers and the steps that result from them.
    #[test]
    fn decisions() {
        let known = [memory("a", false), memory("b", false), memory("c", true)];
        let table: [(&str, &[&str]); 12] = [
            (r#"[{"fact":0,"action":"ADD"},{"fact":1,"action":"NONE","memory":1}]"#, &["add", "keep b"]),
            (
                r#"[{"fact":0,"action":"UPDATE","memory":0,"text":"both"},{"fact":1,"action":"DELETE","memory":1}]"#,
                &["update a to both", "delete b"],
            ),
            // No text, an empty one, one with a control character: the fact itself.
            (r#"[{"fact":0,"action":"UPDATE","memory":0}]"#, &["update a to f0", "add"]),
            (r#"[{"fact":0,"action":"UPDATE","memory":0,"text":" "}]"#, &["update a to f0", "add"]),
            (r#"[{"fact":0,"action":"UPDATE","memory":0,"text":"a\u0000"}]"#, &["update a to f0", "add"]),
            // Numbers of nothing that was shown.
            (r#"[{"fact":0,"action":"UPDATE","memory":3},{"fact":1,"action":"DELETE"}]"#, &["add", "add"]),
            (r#"[{"fact":7,"action":"DELETE","memory":0}]"#, &["add", "add"]),
            // What is pinned stays.
            (
                r#"[{"fact":0,"action":"UPDATE","memory":2,"text":"x"},{"fact":1,"action":"DELETE","memory":2}]"#,
                &["add", "keep c"],
            ),
            // A memory changes once in a turn.
            (
                r#"[{"fact":0,"action":"DELETE","memory":0},{"fact":1,"action":"UPDATE","memory":0}]"#,
                &["delete a", "add"],
            ),
            (
                r#"[{"fact":0,"action":"DELETE","memory":0},{"fact":1,"action":"DELETE","memory":0}]"#,
                &["delete a", "keep a"],
            ),
            // The first decision about a fact counts.
            (r#"[{"fact":0,"action":"NONE"},{"fact":0,"action":"DELETE","memory":0}]"#, &["keep -", "add"]),
            ("[]", &["add", "add"]),
        ];
        for (answers, wanted) in table {
            let answers: Vec<Answer> = serde_json::from_str(answers).unwrap();
            let steps: Vec<String> =
                settle(&["f0", "f1"], &known, &answers).iter().map(|(step, _)| words(step)).collect();
            assert_eq!(steps, wanted, "{answers:?}");
        }
    }
}
