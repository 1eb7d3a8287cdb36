//! Base schemas: the shipped ones, wrong ones, and the loaders' contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_core::schemas::{
    EmbeddedSchemaLoader, FilesystemSchemaLoader, Formula, InMemorySchemaLoader, MatchSet, Metric, Scale, Schema,
    SchemaDescription, SchemaDifference, Score,
};
use cogniverse_sdk::{BaseSchema, ErrorKind, FieldName, Filter, SchemaLoader, SchemaName, StrategyName};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

fn shipped_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

mod embedded {
    use super::*;
    cogniverse_sdk::schema_loader_contract! { make: async { (Arc::new(EmbeddedSchemaLoader) as Arc<dyn SchemaLoader>, ()) }, skips: [] }
}

mod filesystem {
    use super::*;
    cogniverse_sdk::schema_loader_contract! {
        make: async { (Arc::new(FilesystemSchemaLoader::new(shipped_folder())) as Arc<dyn SchemaLoader>, ()) }, skips: []
    }
}

mod in_memory {
    use super::*;
    cogniverse_sdk::schema_loader_contract! {
        make: async { (Arc::new(InMemorySchemaLoader::new([base()])) as Arc<dyn SchemaLoader>, ()) }, skips: []
    }
}

fn base() -> BaseSchema {
    (*cogniverse_sdk::contract::fixture::schema()).clone()
}

async fn shipped(name: &str) -> Schema {
    Schema::compile(EmbeddedSchemaLoader.load(&SchemaName::parse(name).unwrap()).await.unwrap()).unwrap()
}

fn strategy_name(name: &str) -> StrategyName {
    StrategyName::parse(name).unwrap()
}

/// The whole table of inputs, phases and matching: (strategy, words, float, binary, matches all, rerank count, fused hits).
/// Of a schema with one vector a segment, the fused strategies need no bits: its floats are cheap enough to score all.
#[tokio::test]
async fn shipped_strategies_are_understood() {
    let names = EmbeddedSchemaLoader.list().await.unwrap();
    assert_eq!(names.len(), 9);
    assert_eq!(names, FilesystemSchemaLoader::new(shipped_folder()).list().await.unwrap());
    let table = [
        ("default", false, false, true, true, None, None),
        ("bm25_only", true, false, false, false, None, None),
        ("float_float", false, true, false, true, None, None),
        ("binary_binary", false, false, true, true, None, None),
        ("float_binary", false, true, false, true, None, None),
        ("phased", false, true, true, true, Some(100), None),
        ("hybrid_float_bm25", true, true, false, true, Some(100), None),
        ("hybrid_bm25_binary", true, false, true, false, Some(100), None),
        ("hybrid_bm25_float", true, true, false, false, Some(100), None),
        ("hybrid_fused", true, true, true, true, None, Some(200)),
        ("hybrid_rrf", true, true, true, true, None, Some(200)),
    ];
    for name in names.iter().filter(|name| !["agent_memories", "video_catalogue"].contains(&name.as_str())) {
        let schema = shipped(name.as_str()).await;
        let single = schema.field("embedding").unwrap().field_type.to_string().contains("(v[");
        for (strategy, words, float, binary, all, rerank, fused) in table {
            let binary = binary && !(single && fused.is_some());
            let strategy = schema.strategy(&strategy_name(strategy)).unwrap();
            let inputs = strategy.inputs();
            assert_eq!(
                (inputs.text, inputs.float.is_some(), inputs.binary.is_some()),
                (words, float, binary),
                "{name} {}",
                strategy.name()
            );
            assert_eq!(strategy.matches() == MatchSet::All, all, "{name} {}", strategy.name());
            assert_eq!(strategy.second_phase().map(|r| r.count), rerank, "{name} {}", strategy.name());
            assert_eq!(strategy.fusion().map(|fusion| fusion.count), fused, "{name} {}", strategy.name());
        }
    }
}

#[tokio::test]
async fn formulas_become_typed_scores() {
    let field = |name: &str| FieldName::parse(name).unwrap();
    let colpali = shipped("video_colpali_smol500_mv_frame").await;
    let first = |schema: &Schema, name: &str| schema.strategy(&strategy_name(name)).unwrap().first_phase().clone();
    assert_eq!(first(&colpali, "float_float"), Score::MaxSim { field: field("embedding") });
    assert_eq!(first(&colpali, "phased"), Score::HammingMaxSim { field: field("embedding_binary") });
    assert_eq!(first(&colpali, "float_binary"), Score::MaxSimBits { field: field("embedding_binary"), signed: false });
    let texts = ["video_title", "segment_description", "audio_transcript", "screen_text"];
    let texts = texts.map(|name| Score::Bm25(field(name)));
    assert_eq!(first(&colpali, "bm25_only"), Score::Sum(texts.into()));
    let lvt = shipped("video_videoprism_lvt_base_sv_chunk_6s").await;
    assert_eq!(first(&lvt, "float_float"), Score::Closeness { field: field("embedding"), metric: Metric::Angular });
    assert_eq!(
        first(&lvt, "binary_binary"),
        Score::Closeness { field: field("embedding_binary"), metric: Metric::Hamming }
    );
    assert_eq!(first(&lvt, "float_binary"), Score::BitsDot { field: field("embedding_binary"), signed: true });
    let Score::Sum(parts) = first(&lvt, "hybrid_binary_bm25") else { panic!("a sum") };
    assert!(
        matches!(parts.as_slice(), [Score::Closeness { .. }, Score::Scaled(factor, _)] if (factor - 0.1).abs() < 1e-9)
    );
    let memories = shipped("agent_memories").await;
    assert!(matches!(first(&memories, "hybrid"), Score::Sum(parts) if parts.len() == 2));
}

#[test]
fn a_global_phase_becomes_signals_and_a_formula() {
    let mut base = serde_json::to_value(base()).unwrap();
    *base.pointer_mut("/rank_profiles/3/global_phase/expression").unwrap() =
        json!("0.5 * reciprocal_rank(max_sim) + (reciprocal_rank(bm25(video_title), 10) + normalize_linear(max_sim))");
    let changed: Arc<BaseSchema> = Arc::new(serde_json::from_value(base).unwrap());
    let schema = Schema::compile(Arc::clone(&changed)).unwrap();
    let fusion = schema.strategy(&strategy_name("hybrid_fused")).unwrap().fusion().unwrap();
    let names: Vec<&str> = fusion.signals.iter().map(|signal| signal.name.as_str()).collect();
    assert_eq!((names, fusion.count), (vec!["max_sim", "bm25(video_title)"], 100));
    let normalized = |signal, scale| Box::new(Formula::Normalized { signal, scale });
    let ranks = |signal, k| normalized(signal, Scale::ReciprocalRank { k });
    let inner = Formula::Sum(ranks(1, 10.0), normalized(0, Scale::Linear));
    let scaled = Formula::Scaled(0.5, ranks(0, 60.0));
    assert_eq!(fusion.formula, Formula::Sum(Box::new(scaled), Box::new(inner)));
    let description = SchemaDescription::of(&schema).to_string();
    assert!(description.contains("fuses max_sim and bm25(video_title) over the best 100"), "{description}");
    let difference = Schema::compile(Arc::new(self::base())).unwrap().difference(&changed);
    assert_eq!(difference, SchemaDifference::Ranking(vec!["rank profile hybrid_fused differs".into()]));
}

#[tokio::test]
async fn invariant_16_unknown_strategies_and_filter_fields_list_what_exists() {
    let schema = shipped("video_text_minilm_mv_segment").await;
    let error = schema.strategy(&strategy_name("bm25")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("bm25_only") && error.to_string().contains("float_float"), "{error}");
    let filter = Filter::equals(FieldName::parse("speaker").unwrap(), "x");
    let error = schema.check_filter(&filter).unwrap_err();
    assert!(
        error.to_string().contains("unknown filter field \"speaker\"") && error.to_string().contains("video_id"),
        "{error}"
    );
    let description = SchemaDescription::of(&schema).to_string();
    assert!(
        description.contains("tensor<bfloat16>(token{}, v[384])") && description.contains("scores the best 100 again"),
        "{description}"
    );
}

/// Each change makes the schema wrong; the error names the part.
#[test]
fn invariant_17_wrong_schemas_are_refused_by_name() {
    let good = serde_json::to_value(base()).unwrap();
    let change = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        changed
    };
    let table = [
        (change("/document/fields/6/type", json!("tensor<bfloat16>(patch{}, v[9])")), "query(qt)"),
        (change("/document/fields/6/type", json!("tensor<bfloat16>(v[8])")), "patch"),
        (change("/document/fields/7/type", json!("tensor<int8>(patch{}, v[2])")), "hamming"),
        (change("/document/fields/6/indexing", json!(["summary"])), "attribute"),
        (change("/document/fields/6/name", json!("video_id")), "twice"),
        (change("/document/fields/2/index", json!("enable-bm52")), "enable-bm52"),
        (change("/fieldsets/0/fields/0", json!("segment_id")), "segment_id"),
        (change("/rank_profiles/0/first_phase/expression", json!("bm25(segment_id)")), "segment_id"),
        (change("/rank_profiles/0/first_phase/expression", json!("bm25(nope)")), "nope"),
        (change("/rank_profiles/0/first_phase/expression", json!("now()")), "no known form"),
        (change("/rank_profiles/0/first_phase/expression", json!("bm25(")), "too early"),
        (change("/rank_profiles/1/functions/0/expression", json!("max_sim")), "calls itself"),
        (change("/rank_profiles/1/inputs/0/name", json!("query(other)")), "query(other)"),
        (change("/rank_profiles/1/inputs/0/type", json!("tensor<float>(querytoken{}, v[16])")), "query(qt)"),
        (change("/rank_profiles/2/second_phase/rerank_count", json!(0)), "rerank_count"),
        (change("/rank_profiles/1/name", json!("bm25_only")), "twice"),
        (change("/rank_profiles/3/global_phase/rerank_count", json!(0)), "leave the global phase out"),
        (
            change("/rank_profiles/3/global_phase/expression", json!("normalize_linear(max_simm)")),
            "unknown function \"max_simm\"; there are: max_sim",
        ),
        (
            change("/rank_profiles/3/global_phase/expression", json!("normalize_linear(bm25(nope))")),
            "unknown field \"nope\"",
        ),
        (change("/rank_profiles/3/global_phase/expression", json!("normalize(max_sim)")), "reciprocal_rank(f, k)"),
        (change("/rank_profiles/3/global_phase/expression", json!("max_sim")), "normalize_linear(f)"),
        (
            change("/rank_profiles/3/global_phase/expression", json!("normalize_linear(2 * max_sim)")),
            "define a function",
        ),
        (change("/rank_profiles/3/global_phase/expression", json!("normalize_linear(max_sim, 2)")), "2 arguments"),
        (
            change("/rank_profiles/3/global_phase/expression", json!("reciprocal_rank(max_sim, text_sim)")),
            "write k out",
        ),
        (
            change("/rank_profiles/3/first_phase/expression", json!("normalize_linear(max_sim)")),
            "move it to global_phase",
        ),
        (
            change("/rank_profiles/2/second_phase/expression", json!("reciprocal_rank(max_sim)")),
            "move it to global_phase",
        ),
    ];
    for (schema, part) in table {
        let schema: BaseSchema = serde_json::from_value(schema).unwrap();
        let error = Schema::compile(Arc::new(schema)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part) && error.to_string().contains("contract_video"), "{part}: {error}");
    }
    Schema::compile(Arc::new(base())).unwrap();
}

#[tokio::test]
async fn wrong_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let loader = FilesystemSchemaLoader::new(folder.path());
    let name = SchemaName::parse("contract_video").unwrap();
    let mut tensor = serde_json::to_value(base()).unwrap();
    tensor["document"]["fields"][6]["type"] = json!("tensor<bfloat61>(patch{}, v[8])");
    let mut key = serde_json::to_value(base()).unwrap();
    key["rank_profiles"][0]["secondphase"] = json!({});
    let mut other = serde_json::to_value(base()).unwrap();
    other["name"] = json!("other");
    for (text, part) in [
        (tensor.to_string(), "bfloat61"),
        (key.to_string(), "secondphase"),
        (other.to_string(), "other"),
        ("{".to_owned(), "line 1"),
        (String::new(), "line 1"),
    ] {
        std::fs::write(folder.path().join("contract_video_schema.json"), text).unwrap();
        let error = loader.load(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(
            error.to_string().contains("contract_video_schema.json") && error.to_string().contains(part),
            "{part}: {error}"
        );
    }
}

#[tokio::test]
async fn invariant_09_an_unreadable_folder_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = FilesystemSchemaLoader::new(folder.path().join("nowhere"));
    let error = missing.list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(FilesystemSchemaLoader::new(folder.path()).list().await.unwrap().is_empty());
}

#[test]
fn differences_say_what_documents_would_feel() {
    let schema = Schema::compile(Arc::new(base())).unwrap();
    assert_eq!(schema.difference(&base()), SchemaDifference::None);
    let mut ranking = base();
    ranking.rank_profiles.remove(0);
    assert_eq!(schema.difference(&ranking), SchemaDifference::Ranking(vec!["rank profile bm25_only is new".into()]));
    // Documents can be without any field but one whose vectors they would be ranked by.
    let without = |name: &str| {
        let mut fields = base();
        fields.document.fields.retain(|field| field.name.as_str() != name);
        schema.difference(&fields)
    };
    for name in ["video_id", "video_title"] {
        assert_eq!(without(name), SchemaDifference::Ranking(vec![format!("field {name} is new")]));
    }
    assert_eq!(without("embedding"), SchemaDifference::Documents(vec!["field embedding is new".into()]));
    let mut more = base();
    more.document.fields.push(more.document.fields[0].clone());
    more.document.fields.last_mut().unwrap().name = FieldName::parse("other").unwrap();
    assert_eq!(schema.difference(&more), SchemaDifference::Documents(vec!["field other is gone".into()]));
}
