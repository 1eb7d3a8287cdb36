//! Folders and settings that cannot be used: a clear error each, and the store opens afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test asserts")]

mod world;

use cogniverse::{Cogniverse, ErrorKind, Filter, SearchRequest};
use world::{TEXT, World, profile, tenant};

#[tokio::test]
async fn a_folder_in_use_is_refused_and_free_afterwards() {
    let world = World::with(&["acme"], |b| b).await;
    world.ingest("acme", &[("v", 0.0, 1.0, "still here")]).await;
    let open = || Cogniverse::builder().data_dir(world.folder.path()).open();
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.chain().contains("close it, or use another folder"), "{error:?}");
    let World { cogniverse, folder } = world;
    drop(cogniverse);
    let cogniverse = Cogniverse::builder().data_dir(folder.path()).open().await.unwrap();
    let answer = cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), "still")).await.unwrap();
    assert_eq!(answer.results.len(), 1);
}

#[tokio::test]
async fn a_path_that_is_no_folder_is_named() {
    let world = World::with(&[], |b| b).await;
    let file = world.file("a_file", "not a folder");
    for path in [file.clone(), file.join("below")] {
        let error = Cogniverse::builder().data_dir(&path).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.chain().contains(&path.display().to_string()), "{error:?}");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "not a folder");
}

#[test]
fn invariant_16_filter_operators_are_checked() {
    let table = [
        (r#"{"start_time": {"near": 3}}"#, "near"),
        (r#"{"start_time": {"gte": "soon"}}"#, "takes a number, not a string"),
        (r#"{"start_time": {}}"#, "start_time"),
        (r#"["video_id"]"#, "object"),
        (r#"{"not a field": 1}"#, "not a field"),
    ];
    for (json, part) in table {
        let error =
            Filter::from_json(&serde_json::from_str(json).unwrap()).and_then(|filter| filter.check()).expect_err(json);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{json}");
        assert!(error.chain().contains(part), "{json}: {error:?}");
    }
    let known = Filter::from_json(&serde_json::from_str(r#"{"start_time": {"near": 3}}"#).unwrap()).unwrap_err();
    assert!(known.chain().contains("gte"), "it names the operators that exist: {known:?}");
}
