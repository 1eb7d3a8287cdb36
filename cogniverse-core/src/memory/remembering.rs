//! Storage of messages as memories, verbatim or by the language model's decisions.
//!
//! Each decision changes one memory and is recorded with its reason. The store has no transaction over several
//! memories, so the steps are idempotent: when an interrupted turn is repeated, added facts are known already, and
//! changed or deleted memories no longer match.

use super::{
    decision::{Step, settle},
    manager::MemoryManager,
    report::{MemoryAction, MemoryDecision, MemoryReport},
    request::Remember,
};
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Memory, MemoryOrigin, Result, TextKind,
    memory_store::{AddMemories, Added, DeleteMemory, GetMemory, MemoryChange, SearchMemories, UpdateMemory},
};
use std::collections::BTreeMap;

/// The number of memories compared with a fact.
const NEAREST: usize = 5;
/// The largest number of memories shown to the model.
const MAX_SHOWN: usize = 20;
/// The smallest cosine of a memory shown to the model.
const LIKENESS: f64 = 0.2;

impl MemoryManager {
    /// Stores each message as a memory.
    pub(super) async fn keep(&self, request: &Remember, origin: MemoryOrigin) -> Result<MemoryReport> {
        let texts: Vec<String> = request.messages.iter().map(|message| message.content.clone()).collect();
        let vectors = self.inner.embedding.embed(self.tenant(), &texts, TextKind::Document).await?;
        let drafts = request.messages.iter().zip(vectors).map(|(message, vector)| {
            let mut new = self.draft(request, &message.content, vector, origin);
            new.role = Some(message.role);
            new
        });
        let added = self.store().add(AddMemories::new(request.scope.clone(), drafts.collect())).await?;
        let decisions = texts.iter().zip(&added).map(|(text, added)| outcome(text, added, &request.reason));
        Ok(MemoryReport { decisions: decisions.collect(), ..MemoryReport::default() })
    }

    /// Extracts facts from the messages and applies the model's decisions.
    pub(super) async fn infer(&self, request: Remember) -> Result<MemoryReport> {
        let found = match &self.inner.models {
            Some(models) => models.of(self.tenant(), self.inner.model_timeout).await,
            None => Ok(None),
        };
        let inference = match found {
            Ok(Some(inference)) => inference,
            Ok(None) => {
                return Err(Error::of(
                    ErrorCode::LanguageModelMissing,
                    "extracting facts needs a language model; configure one, or add without inferring",
                ));
            }
            Err(problem) => return self.keep_anyway(&request, problem).await,
        };
        let facts = match inference.facts(self.tenant(), &request.messages).await {
            Ok(facts) => facts,
            Err(problem) => return self.keep_anyway(&request, problem).await,
        };
        if facts.is_empty() {
            return Ok(MemoryReport { inferred: true, ..MemoryReport::default() });
        }
        let vectors = self.inner.embedding.embed(self.tenant(), &facts, TextKind::Document).await?;
        let (known, partial) = self.nearest(&request, &facts, &vectors).await?;
        // What was not looked at may be what the facts change: half of what is known decides nothing (invariant 9).
        if let Some(reason) = partial {
            return self
                .keep_anyway(&request, format!("what is known could be looked at in part only: {reason}"))
                .await;
        }
        let texts: Vec<&str> = facts.iter().map(String::as_str).collect();
        let steps = if known.is_empty() {
            texts.iter().map(|_| (Step::Add, "nothing like it is known".to_owned())).collect()
        } else {
            match inference.decide(self.tenant(), &texts, &known).await {
                Ok(answers) => settle(&texts, &known, &answers),
                Err(problem) => return self.keep_anyway(&request, problem).await,
            }
        };
        let mut decisions = Vec::with_capacity(steps.len());
        for (((step, reason), fact), vector) in steps.into_iter().zip(&facts).zip(vectors) {
            decisions.push(self.take(&request, step, &reason, fact, vector).await?);
        }
        Ok(MemoryReport { decisions, inferred: true, problem: None })
    }

    /// Stores the messages verbatim after a failure of the model.
    async fn keep_anyway(&self, request: &Remember, problem: String) -> Result<MemoryReport> {
        tracing::warn!(tenant.id = %self.tenant(), "kept as it was said: {problem}");
        let report = self.keep(request, MemoryOrigin::NotInferred).await?;
        Ok(MemoryReport { problem: Some(problem), ..report })
    }

    /// Returns memories of the same scope that are similar to one of the facts, each once, and the reason some may be
    /// missing.
    async fn nearest(
        &self,
        request: &Remember,
        facts: &[String],
        vectors: &[Vec<f32>],
    ) -> Result<(Vec<Memory>, Option<String>)> {
        let mut known: BTreeMap<_, (f64, Memory)> = BTreeMap::new();
        let mut partial = None;
        for (fact, vector) in facts.iter().zip(vectors) {
            let search = SearchMemories::new(&request.scope, fact, vector.clone()).with_top_k(NEAREST);
            let found = self.store().search(search.with_threshold(LIKENESS)).await?;
            partial = partial.or(found.partial);
            for hit in found.hits {
                let best = known.get(&hit.memory.id).map_or(f64::MIN, |(score, _)| *score).max(hit.score);
                known.insert(hit.memory.id.clone(), (best, hit.memory));
            }
        }
        let mut known: Vec<(f64, Memory)> = known.into_values().collect();
        known.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Ok((known.into_iter().take(MAX_SHOWN).map(|(_, memory)| memory).collect(), partial))
    }

    /// Applies one step. If another writer changed the memory meanwhile, the fact is added instead.
    async fn take(
        &self,
        request: &Remember,
        step: Step,
        reason: &str,
        fact: &str,
        vector: Vec<f32>,
    ) -> Result<MemoryDecision> {
        // The model took its time: what was pinned or changed since it was shown is not the model's to change.
        let changed = match &step {
            Step::Update { memory, .. } | Step::Delete { memory } => self.changed_since(memory).await?,
            Step::Add | Step::Keep { .. } => false,
        };
        match step {
            Step::Update { .. } if changed => {
                self.add_fact(request, fact, vector, "the memory to change was changed meanwhile").await
            }
            Step::Delete { memory } if changed => {
                let why = "the memory to delete was changed meanwhile";
                Ok(MemoryDecision::new(MemoryAction::None, fact, Some(&memory), why))
            }
            Step::Add => self.add_fact(request, fact, vector, reason).await,
            Step::Keep { memory } => Ok(MemoryDecision::new(MemoryAction::None, fact, memory.as_ref(), reason)),
            Step::Update { memory, text } => {
                let cells = if text == fact {
                    vector.clone()
                } else {
                    self.inner.embedding.one(self.tenant(), &text, TextKind::Document).await?
                };
                let mut change = MemoryChange::new().with_origin(MemoryOrigin::Inferred);
                change = change.with_text(&text, cells, self.inner.embedding.model());
                change.metadata.clone_from(&request.metadata);
                let update = UpdateMemory::new(memory.scope.clone(), memory.id.clone(), change, reason);
                match self.store().update(update).await {
                    Ok(updated) => Ok(MemoryDecision::new(MemoryAction::Update, fact, Some(&updated), reason)),
                    Err(e) if e.kind() == ErrorKind::Conflict => {
                        Ok(MemoryDecision::new(MemoryAction::None, fact, Some(&memory), e.message()))
                    }
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::FailedPrecondition) => {
                        self.add_fact(request, fact, vector, "the memory to change is gone").await
                    }
                    Err(e) => Err(e),
                }
            }
            Step::Delete { memory } => {
                let delete = DeleteMemory::new(memory.scope.clone(), memory.id.clone(), reason);
                match self.store().delete(delete).await {
                    Ok(gone) => Ok(MemoryDecision::new(MemoryAction::Delete, fact, Some(&gone), reason)),
                    Err(e) if e.kind() == ErrorKind::NotFound => {
                        Ok(MemoryDecision::new(MemoryAction::None, fact, None, "the memory to delete is gone"))
                    }
                    Err(e) => Err(e),
                }
            }
        }
    }

    /// Returns whether a memory is now pinned or differs from what was read; a deleted one is detected by the change
    /// itself.
    async fn changed_since(&self, memory: &Memory) -> Result<bool> {
        let get = GetMemory::new(memory.scope.clone(), memory.id.clone());
        let now = self.store().get(get).await?;
        Ok(now.is_some_and(|now| now.pinned || now.revision != memory.revision))
    }

    async fn add_fact(&self, request: &Remember, fact: &str, vector: Vec<f32>, reason: &str) -> Result<MemoryDecision> {
        let mut draft = self.draft(request, fact, vector, MemoryOrigin::Inferred);
        reason.clone_into(&mut draft.reason);
        let added = self.store().add(AddMemories::new(request.scope.clone(), vec![draft])).await?;
        let added = added.first().ok_or_else(|| Error::unexpected("one fact was added and none was answered"))?;
        Ok(outcome(fact, added, reason))
    }
}

fn outcome(text: &str, added: &Added, reason: &str) -> MemoryDecision {
    match added {
        Added::Stored(memory) => MemoryDecision::new(MemoryAction::Add, text, Some(memory), reason),
        known => MemoryDecision::new(MemoryAction::None, text, Some(known.memory()), "it is known word for word"),
    }
}
