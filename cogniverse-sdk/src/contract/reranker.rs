//! The contract suite of [`Reranker`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{ErrorKind, Modality, RerankItem, RerankRequest, Reranker, Timestamp, reranker::MAX_ITEMS};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

fn items() -> Vec<RerankItem> {
    let texts = ["the robot arm moves a box", "a box of apples", "", "gradient descent on slides", "the robot again"];
    let at = |days: i64| Timestamp::from_second(1_700_000_000 - days * 86_400).ok();
    let item = |number: usize, text: &str| {
        let score = f64::from(u8::try_from(number * 37 % 11).unwrap_or(0)) - 3.0;
        RerankItem::new(format!("r{number}"), format!("v{}", number % 4), text, score)
            .with_modalities([if number.is_multiple_of(3) { Modality::Image } else { Modality::Video }])
            .recorded_at(at(i64::try_from(number).unwrap_or(0) * 20))
    };
    texts.iter().cycle().take(23).enumerate().map(|(number, text)| item(number, text)).collect()
}

fn request(items: Vec<RerankItem>) -> RerankRequest {
    RerankRequest::new("robot moves a box", items).with_modalities([Modality::Video])
}

/// Each result has one finite score with finite signals.
pub async fn each_result_has_one_finite_score(reranker: &dyn Reranker) -> Outcome {
    let scores = reranker.rerank(request(items())).await.expect("rerank");
    assert_eq!(scores.len(), items().len());
    for score in &scores {
        assert!(score.score.is_finite() && score.signals.values().all(|signal| signal.is_finite()), "{score:?}");
    }
    Outcome::Ran
}

/// The order of the request changes no score.
pub async fn the_order_of_the_request_changes_no_score(reranker: &dyn Reranker) -> Outcome {
    let scores = reranker.rerank(request(items())).await.expect("rerank");
    let mut turned = items();
    turned.reverse();
    turned.rotate_left(7);
    let again = reranker.rerank(request(turned.clone())).await.expect("rerank in another order");
    for (item, score) in items().iter().zip(&scores) {
        let place = turned.iter().position(|other| other.id == item.id).expect("the same results");
        let other = again.get(place).expect("a score each");
        assert!((other.score - score.score).abs() < 1e-9, "{}: {} and {}", item.id, score.score, other.score);
    }
    Outcome::Ran
}

/// Nothing to score gives no score.
pub async fn nothing_gives_nothing(reranker: &dyn Reranker) -> Outcome {
    assert!(reranker.rerank(request(Vec::new())).await.expect("rerank nothing").is_empty());
    Outcome::Ran
}

/// A request that its own check refuses is refused.
pub async fn bad_requests_are_refused(reranker: &dyn Reranker) -> Outcome {
    let item = |id: usize, score: f64| RerankItem::new(id.to_string(), "v", "text", score);
    for wrong in [
        (0..=MAX_ITEMS).map(|id| item(id, 1.0)).collect(),
        vec![item(1, 1.0), item(1, 2.0)],
        vec![item(1, f64::NAN)],
        vec![item(1, f64::INFINITY)],
    ] {
        let error = reranker.rerank(request(wrong)).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    Outcome::Ran
}

/// Two requests at once give what each gives alone.
pub async fn requests_at_once_do_not_mix(reranker: &dyn Reranker) -> Outcome {
    let other = || RerankRequest::new("apples", items().split_off(10));
    let (a, b) = (reranker.rerank(request(items())).await, reranker.rerank(other()).await);
    let (mut first, mut second) = (pin!(reranker.rerank(request(items()))), pin!(reranker.rerank(other())));
    let (mut of_first, mut of_second) = (None, None);
    poll_fn(|context| {
        if of_first.is_none()
            && let Poll::Ready(scores) = first.as_mut().poll(context)
        {
            of_first = Some(scores);
        }
        if of_second.is_none()
            && let Poll::Ready(scores) = second.as_mut().poll(context)
        {
            of_second = Some(scores);
        }
        if of_first.is_some() && of_second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    assert_eq!(of_first.expect("an answer").expect("rerank"), a.expect("rerank"));
    assert_eq!(of_second.expect("an answer").expect("rerank"), b.expect("rerank"));
    Outcome::Ran
}

/// Expands to one test per rule; `make` returns the reranker and a value that must live as long.
#[macro_export]
macro_rules! reranker_contract {
    ($make:expr) => {
        $crate::reranker_contract! { $make, skips: [] }
    };
    ($make:expr, skips: [$($skip:literal),*]) => {
        $crate::contract_cases! { reranker, $make, [$($skip),*];
            each_result_has_one_finite_score, the_order_of_the_request_changes_no_score, nothing_gives_nothing,
            bad_requests_are_refused, requests_at_once_do_not_mix,
        }
    };
}
