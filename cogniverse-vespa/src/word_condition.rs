//! Conditions on words, as conditions of YQL on the default field set.
//!
//! Words are taken out of the condition's text by the analyzer of this library, and each stands inside quotes: nothing of a caller becomes
//! syntax ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)). Vespa stems them as it does documents.

use crate::{condition::quoted, schema::TEXT_FIELDS};
use cogniverse_core::{schemas::Strategy, text::Analyzer};
use cogniverse_sdk::{BackendQuery, Error, ErrorKind, Result, WordCondition};

/// Refuses what Vespa cannot do on the indexes of words.
///
/// # Errors
/// `Unsupported` for prefixes and for the correction of words, with the remedy.
pub(crate) fn check(query: &BackendQuery, strategy: &Strategy) -> Result<()> {
    let unsupported =
        |message: &str| Err(Error::new(ErrorKind::Unsupported, message).with_context("schema", &query.schema));
    if query.words.iter().any(|condition| matches!(condition, WordCondition::Prefix(_))) {
        return unsupported(
            "Vespa looks for prefixes in attributes only, not in texts; give whole words, or use the embedded backend",
        );
    }
    if query.typos && strategy.inputs().text {
        return unsupported(
            "Vespa looks for similar words in attributes only, not in texts; search without typos, or use the embedded backend",
        );
    }
    Ok(())
}

/// Returns whether a condition asks for a word, rather than for its absence.
pub(crate) fn asks_for_words(conditions: &[WordCondition]) -> bool {
    conditions.iter().any(|condition| !matches!(condition, WordCondition::Without(_)))
}

/// Returns the conditions, to be joined by "and".
pub(crate) fn conditions(conditions: &[WordCondition]) -> Vec<String> {
    conditions.iter().map(one).collect()
}

fn one(condition: &WordCondition) -> String {
    let text = condition.text();
    let mut words = Vec::new();
    Analyzer::new().tokens(text, |token| {
        if !token.is_extra {
            words.extend(text.get(token.range()).map(quoted));
        }
    });
    let operand = match words.as_slice() {
        [] => "false".to_owned(),
        [word] => format!("{TEXT_FIELDS} contains ({{ranked:false}}{word})"),
        words => format!("{TEXT_FIELDS} contains ({{ranked:false}}phrase({}))", words.join(",")),
    };
    if matches!(condition, WordCondition::Without(_)) { format!("!({operand})") } else { operand }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_quotes() {
        let of = |condition: WordCondition| one(&condition);
        assert_eq!(
            of(WordCondition::Phrase("Open\" sea) or true".into())),
            r#"default contains ({ranked:false}phrase("Open","sea","or","true"))"#
        );
        assert_eq!(of(WordCondition::Without("sea".into())), r#"!(default contains ({ranked:false}"sea"))"#);
        assert!(!asks_for_words(&[WordCondition::Without("sea".into())]));
    }
}
