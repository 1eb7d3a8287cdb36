//! The contract suite of [`LanguageModel`]. It checks the shape of answers, never their content, so that any model
//! passes.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{ChatAnswer, ChatMessage, ChatRequest, Error, ErrorKind, FinishReason, LanguageModel};
use serde_json::{Value, json};
use std::time::Duration;

/// A generous timeout, for a model on a busy machine without a GPU.
const LONG: Duration = Duration::from_secs(120);

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user(text)]).with_temperature(0.0).with_seed(7).with_timeout(LONG)
}

async fn streamed(model: &dyn LanguageModel, request: ChatRequest) -> (String, Result<ChatAnswer, Error>) {
    let mut pieces = String::new();
    let answer = model.chat_streamed(request, &mut |piece| pieces.push_str(piece)).await;
    (pieces, answer)
}

/// Sends a request that must fail, both plain and streamed.
async fn errors(model: &dyn LanguageModel, request: ChatRequest) -> [Error; 2] {
    let whole = model.chat(request.clone()).await.expect_err("must fail");
    let (pieces, answer) = streamed(model, request).await;
    assert_eq!(pieces, "", "a request that is refused gives no pieces");
    [whole, answer.expect_err("must fail")]
}

/// The model reports a name for cache keys.
pub async fn it_has_a_name(model: &dyn LanguageModel) -> Outcome {
    assert!(!model.model().trim().is_empty());
    std::future::ready(Outcome::Ran).await
}

/// The joined pieces of a stream equal the text of its answer.
pub async fn invariant_09_pieces_joined_are_the_answer(model: &dyn LanguageModel) -> Outcome {
    let messages = vec![
        ChatMessage::system("You count."),
        ChatMessage::user("one two"),
        ChatMessage::assistant("three four"),
        ChatMessage::user("five"),
    ];
    let request = ChatRequest::new(messages).with_max_tokens(16).with_timeout(LONG);
    let (pieces, answer) = streamed(model, request).await;
    let answer = answer.expect("an answer");
    assert_eq!(pieces, answer.text);
    assert!(!answer.prompt_cut, "four short messages fit");
    Outcome::Ran
}

/// An answer truncated by a token limit says so and stays within the limit.
pub async fn invariant_09_a_cut_answer_says_so(model: &dyn LanguageModel) -> Outcome {
    let request = ask("Count from one to a hundred: one, two, three, four,").with_max_tokens(2);
    for answer in [model.chat(request.clone()).await, streamed(model, request).await.1] {
        let answer = answer.expect("an answer");
        assert_eq!(answer.finish, FinishReason::Length, "{answer:?}");
        assert!(answer.completion_tokens.is_none_or(|tokens| tokens <= 2), "{answer:?}");
    }
    Outcome::Ran
}

/// With a schema, a complete answer is JSON that obeys it; otherwise the answer says that it was truncated.
pub async fn a_whole_answer_obeys_its_schema(model: &dyn LanguageModel) -> Outcome {
    let schema = json!({
        "type": "object",
        "properties": {"color": {"type": "string", "enum": ["red", "green"]}},
        "required": ["color"],
        "additionalProperties": false,
    });
    let request = ask("The color of grass as JSON:").with_schema(schema).with_max_tokens(200);
    for answer in [model.chat(request.clone()).await, streamed(model, request).await.1] {
        let answer = answer.expect("an answer");
        if answer.finish == FinishReason::Stop {
            let value: Value = serde_json::from_str(&answer.text).expect("JSON");
            let color = value.get("color").and_then(Value::as_str);
            assert!(matches!(color, Some("red" | "green")), "{answer:?}");
        }
    }
    Outcome::Ran
}

/// Requests that no model can answer are refused, and an invalid schema is reported as the caller's error.
pub async fn wrong_requests_are_refused(model: &dyn LanguageModel) -> Outcome {
    let wrong = [
        ChatRequest::new(Vec::new()),
        ask("x").with_schema(json!(5)),
        ask("x").with_schema(json!("object")),
        ask("x").with_max_tokens(0),
        ask("x").with_temperature(f32::NAN),
        ask("x").with_temperature(-1.0),
    ];
    for request in wrong {
        for error in errors(model, request.clone()).await {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{request:?}: {error:?}");
        }
    }
    Outcome::Ran
}

/// An exceeded deadline is reported as `Timeout`, and the model answers the next request.
pub async fn a_deadline_is_kept(model: &dyn LanguageModel) -> Outcome {
    for error in errors(model, ask("one two three").with_timeout(Duration::ZERO)).await {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    }
    model.chat(ask("one").with_max_tokens(1)).await.expect("an answer");
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! language_model_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            language_model, $make, [$($skip),*];
            it_has_a_name, invariant_09_pieces_joined_are_the_answer, invariant_09_a_cut_answer_says_so,
            a_whole_answer_obeys_its_schema, wrong_requests_are_refused, a_deadline_is_kept
        }
    };
}
