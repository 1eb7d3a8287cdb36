//! The contract suite of [`ExperienceStore`], for a store that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{
    Error, Generation, Modality, ProfileName, Result, RouteTier, SearchId, StrategyName, TenantId, Timestamp,
    experience::{Experience, ExperienceNote, ExperienceStore, Feedback, MAX_EXPERIENCES, RouteAnnotation, RouteLabel},
    telemetry_provider::{AnnotatorKind, SpanId},
};
use serde_json::json;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("a literal tenant")
}

fn id(number: usize) -> SearchId {
    SearchId::parse(format!("{number:032x}")).expect("a literal id")
}

fn experience(number: usize) -> Experience {
    let at = Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap_or(0)).expect("a time");
    let asked = (Modality::Audio, Generation::Summary);
    Experience { results: 3, took_ms: 12.5, ..Experience::new(id(number), at, asked, RouteTier::FastPath) }
}

async fn all(store: &dyn ExperienceStore, of: &TenantId, limit: usize) -> Result<Vec<Experience>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(of, after, limit).await?;
        if page.experiences.len() > limit {
            return Err(Error::unexpected("a page is longer than its limit"));
        }
        found.extend(page.experiences);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// Experiences come back as they were stored, in their order, each once, whatever the size of a page.
pub async fn experiences_come_back_in_their_order(store: &dyn ExperienceStore) -> Outcome {
    let acme = tenant("acme");
    assert!(all(store, &acme, 10).await.expect("page").is_empty());
    store.put(&acme, 1, (0..7).map(experience).collect()).await.expect("put");
    store.put(&acme, 1, vec![experience(3), experience(7)]).await.expect("put again");
    for limit in [1, 3, 8, 100] {
        let wanted: Vec<Experience> = (0..8).map(experience).collect();
        assert_eq!(all(store, &acme, limit).await.expect("pages"), wanted, "{limit} a page");
    }
    assert_eq!(store.count(&acme).await.expect("count"), 8);
    assert_eq!(store.get(&acme, &id(3)).await.expect("get"), Some(experience(3)));
    assert!(store.remove(&acme, &id(3)).await.expect("remove") && !store.remove(&acme, &id(3)).await.expect("again"));
    assert_eq!(store.get(&acme, &id(3)).await.expect("get"), None);
    Outcome::Ran
}

/// Each tenant has its own, by the same ids too, and an erasure takes those of one.
pub async fn invariant_06_ids_alone_reach_nothing(store: &dyn ExperienceStore) -> Outcome {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    store.put(&acme, 1, vec![experience(1), experience(2)]).await.expect("put");
    store.put(&globex, 1, vec![experience(1)]).await.expect("put");
    let feedback = || ExperienceNote::Feedback(Feedback::Watched, None);
    assert!(!store.note(&globex, &id(2), feedback()).await.expect("note"), "it is another tenant's");
    assert!(store.note(&globex, &id(1), feedback()).await.expect("note"));
    assert_eq!(store.get(&acme, &id(1)).await.expect("get"), Some(experience(1)), "and its own is as it was");
    store.replace_state(&acme, 1, None, &json!({ "a": 1 })).await.expect("state");
    assert!(store.state(&globex).await.expect("state").is_none());
    assert_eq!(store.erase_tenant(&acme, 1).await.expect("erase"), 3);
    assert_eq!((store.count(&acme).await.expect("count"), store.count(&globex).await.expect("count")), (0, 1));
    assert!(store.state(&acme).await.expect("state").is_none());
    Outcome::Ran
}

/// Notes are added, and a person's judgement stands above a judge's.
pub async fn notes_are_added(store: &dyn ExperienceStore) -> Outcome {
    let acme = tenant("acme");
    let profile = ProfileName::parse("frames").expect("a name");
    let searched = Experience {
        profiles: [(profile.clone(), StrategyName::parse("bm25_only").expect("a name"))].into(),
        ..experience(1)
    };
    let other = ProfileName::parse("never_searched").expect("a name");
    store.put(&acme, 1, vec![searched.clone()]).await.expect("put");
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).expect("a time");
    let judged =
        |label, annotator, second| ExperienceNote::Annotation(RouteAnnotation::new(label, annotator, at(second)));
    let span = SpanId::parse("00f067aa0ba902b7").expect("an id");
    for note in [
        ExperienceNote::Span(span.clone()),
        ExperienceNote::Feedback(Feedback::Useful, Some(profile.clone())),
        ExperienceNote::Feedback(Feedback::Watched, Some(profile.clone())),
        ExperienceNote::Feedback(Feedback::AskedAgain, None),
        ExperienceNote::Feedback(Feedback::Watched, Some(other)),
        judged(RouteLabel::WrongRouting, AnnotatorKind::Human, 5),
        judged(RouteLabel::CorrectRouting, AnnotatorKind::Llm, 9),
        judged(RouteLabel::Ambiguous, AnnotatorKind::Human, 4),
    ] {
        assert!(store.note(&acme, &id(1), note).await.expect("note"));
    }
    let found = store.get(&acme, &id(1)).await.expect("get").expect("there");
    assert_eq!((found.feedback.positive, found.feedback.negative, found.span), (3, 1, Some(span)));
    assert_eq!(found.feedback.profiles, [(profile, 2)].into(), "of what was searched alone");
    assert_eq!(found.annotation.map(|annotation| annotation.label), Some(RouteLabel::WrongRouting));
    store.put(&acme, 1, vec![experience(1)]).await.expect("put again");
    let kept = store.get(&acme, &id(1)).await.expect("get").expect("there");
    assert_eq!(kept.feedback.positive, 3, "putting it again changes nothing");
    Outcome::Ran
}

/// Notes on threads of their own are all there.
pub async fn notes_at_once_are_all_there(store: &dyn ExperienceStore) -> Outcome {
    const WRITERS: u32 = 4;
    const EACH: u32 = 10;
    let acme = tenant("acme");
    store.put(&acme, 1, vec![experience(1)]).await.expect("put");
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                for _ in 0..EACH {
                    let note = ExperienceNote::Feedback(Feedback::Skipped, None);
                    assert!(runtime.block_on(store.note(&tenant("acme"), &id(1), note)).expect("note"));
                }
            });
        }
    });
    let found = store.get(&acme, &id(1)).await.expect("get").expect("there");
    assert_eq!(found.feedback.negative, WRITERS * EACH);
    Outcome::Ran
}

/// The oldest go where there are too many, of this tenant alone.
pub async fn invariant_23_experiences_are_bounded(store: &dyn ExperienceStore) -> Outcome {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    store.put(&globex, 1, vec![experience(1)]).await.expect("put");
    store.put(&acme, 1, (0..MAX_EXPERIENCES).map(experience).collect()).await.expect("put");
    store.put(&acme, 1, vec![experience(MAX_EXPERIENCES), experience(MAX_EXPERIENCES + 1)]).await.expect("put");
    assert_eq!(store.count(&acme).await.expect("count"), MAX_EXPERIENCES as u64);
    let first = store.page(&acme, None, 1).await.expect("page").experiences;
    assert_eq!(first, [experience(2)]);
    assert_eq!(store.count(&globex).await.expect("count"), 1);
    Outcome::Ran
}

/// Of two writers of the state that expect the same version, one wins; versions never repeat.
pub async fn invariant_13_one_of_two_writers_of_the_state_wins(store: &dyn ExperienceStore) -> Outcome {
    let acme = tenant("acme");
    let first = store.replace_state(&acme, 1, None, &json!({ "n": 1 })).await.expect("replace");
    assert!(first.is_some());
    assert_eq!(store.replace_state(&acme, 1, None, &json!({ "n": 2 })).await.expect("replace"), None);
    let second = store.replace_state(&acme, 1, first, &json!({ "n": 3 })).await.expect("replace");
    assert!(second.is_some() && second != first);
    assert_eq!(store.replace_state(&acme, 1, first, &json!({ "n": 4 })).await.expect("replace"), None);
    assert_eq!(store.state(&acme).await.expect("state").map(|(state, _)| state), Some(json!({ "n": 3 })));
    store.erase_tenant(&acme, 1).await.expect("erase");
    let third = store.replace_state(&acme, 2, None, &json!({ "n": 5 })).await.expect("replace");
    assert!(third.is_some() && third != first && third != second);
    Outcome::Ran
}

/// An experience that is put after its tenant was erased is not stored, and the next tenant of the id has its own.
pub async fn nothing_of_an_erased_generation_is_stored(store: &dyn ExperienceStore) -> Outcome {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    store.put(&acme, 1, vec![experience(1)]).await.expect("put");
    store.erase_tenant(&acme, 1).await.expect("erase");
    store.put(&acme, 1, vec![experience(2)]).await.expect("put");
    assert_eq!(store.replace_state(&acme, 1, None, &json!({})).await.expect("state"), None);
    assert_eq!((store.count(&acme).await.expect("count"), store.state(&acme).await.expect("state")), (0, None));
    store.put(&acme, 2, vec![experience(3)]).await.expect("put");
    assert!(store.replace_state(&acme, 2, None, &json!({})).await.expect("state").is_some());
    store.put(&globex, 1, vec![experience(1)]).await.expect("put");
    assert_eq!((store.count(&acme).await.expect("count"), store.count(&globex).await.expect("count")), (1, 1));
    // An erasure that is repeated, or comes late, takes what is there and forgets no later one.
    store.erase_tenant(&acme, 2).await.expect("erase");
    store.erase_tenant(&acme, 1).await.expect("erase again");
    store.put(&acme, 2, vec![experience(4)]).await.expect("put");
    assert_eq!(store.count(&acme).await.expect("count"), 0);
    Outcome::Ran
}

/// Expands to one test per rule; `make` returns the store and a value that must live as long.
#[macro_export]
macro_rules! experience_store_contract {
    ($make:expr) => {
        $crate::contract_cases! { experience_store, $make, [];
            experiences_come_back_in_their_order, invariant_06_ids_alone_reach_nothing, notes_are_added,
            notes_at_once_are_all_there, invariant_23_experiences_are_bounded,
            invariant_13_one_of_two_writers_of_the_state_wins, nothing_of_an_erased_generation_is_stored,
        }
    };
}
