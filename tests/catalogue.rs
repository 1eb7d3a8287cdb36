//! The catalogue of videos: what is ingested, under which id, with which metadata, and what becomes of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    ErrorCode, ErrorKind, Filter, IngestReport, IngestRequest, IngestSource, MetadataName, MetadataType, MetadataValue,
    SearchRequest, VideoId, VideoInput,
    catalogue::{JobState, VideoQuery, VideoSort, VideoState, VideoUpdate},
    ingestion::VideoStatus,
    sdk::{Caller, CallerId, FieldName, Role, SchemaName, TenantSchema, document_store::VisitRequest},
};
use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime},
};
use world::{Probe, TEXT, World, clip, ffmpeg_is_there, profile, strategy, tenant};

const SRT: &str = "1\n00:00:01,000 --> 00:00:03,000\n";

fn name(name: &str) -> MetadataName {
    MetadataName::parse(name).unwrap()
}

fn id(id: &str) -> VideoId {
    VideoId::parse(id).unwrap()
}

fn query(of: &str) -> VideoQuery {
    VideoQuery::new(tenant(of), profile(TEXT))
}

async fn titles(world: &World, query: VideoQuery) -> Vec<String> {
    world.cogniverse.catalogue().videos(query).await.unwrap().videos.into_iter().map(|video| video.title).collect()
}

async fn ingest(world: &World, source: IngestSource) -> IngestReport {
    world.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source)).await.unwrap()
}

async fn folder_of(world: &World, folder: &Path) -> IngestReport {
    let source = IngestSource::Folder(folder.to_owned());
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), source).with_prune();
    world.cogniverse.ingest(request).await.unwrap()
}

async fn count(world: &World) -> u64 {
    let schema = TenantSchema::new(&tenant("acme"), &SchemaName::parse(TEXT).unwrap());
    world.cogniverse.count_documents(&schema, None).await.unwrap()
}

async fn found(world: &World, words: &str) -> Vec<(String, String)> {
    let request = SearchRequest::new(tenant("acme"), profile(TEXT), words).with_strategy(strategy("bm25_only"));
    let answer = world.cogniverse.search(request).await.unwrap();
    answer.results.into_iter().map(|result| (result.video_id, result.title)).collect()
}

/// Makes every file of a folder old enough that its time of change can be believed.
fn settle(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        }
    }
}

async fn declare(world: &World, fields: &[(&str, MetadataType)]) {
    let config = world.cogniverse.operator().config();
    let mut known = config.get_profile(&tenant("acme"), &profile(TEXT)).await.unwrap().config.value;
    for (field, kind) in fields {
        known = known.with_metadata(name(field), *kind);
    }
    config.set_profile(&tenant("acme"), &profile(TEXT), known).await.unwrap();
}

#[tokio::test]
async fn videos_are_listed_shown_changed_and_deleted() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    assert!(titles(&world, query("acme")).await.is_empty(), "nothing was ingested yet");
    let lines = r#"{"video_id": "b", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "hello", "video_title": "beta"}
{"video_id": "a", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "world", "video_title": "Alpha"}
{"video_id": "a", "segment_id": 1, "start_time": 1, "end_time": 2, "audio_transcript": "again", "video_title": "Alpha"}
{"video_id": "c", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "gamma", "video_title": "Gamma"}"#;
    let source = || IngestSource::Segments(world.file("lines.jsonl", lines));
    assert!(ingest(&world, source()).await.is_complete());
    assert_eq!(titles(&world, query("acme")).await, ["Alpha", "beta", "Gamma"], "without regard to case");
    assert_eq!(titles(&world, query("acme").descending()).await, ["Gamma", "beta", "Alpha"]);
    assert!(titles(&world, query("globex")).await.is_empty(), "another tenant's are not seen");
    let mut paged = Vec::new();
    let mut page = world.cogniverse.catalogue().videos(query("acme").with_page_size(2)).await.unwrap();
    loop {
        paged.extend(page.videos.into_iter().map(|video| video.title));
        let Some(next) = page.next else { break };
        page =
            world.cogniverse.catalogue().videos(query("acme").with_page_size(2).with_cursor(Some(next))).await.unwrap();
    }
    assert_eq!(paged, ["Alpha", "beta", "Gamma"]);
    let shown = world.cogniverse.catalogue().video(&tenant("acme"), &profile(TEXT), &id("a")).await.unwrap();
    assert_eq!((shown.stored_segments, shown.video.segments, shown.video.state), (2, 2, VideoState::Done));
    assert_eq!(shown.spoken.iter().map(|spoken| spoken.text.as_str()).collect::<Vec<_>>(), ["world", "again"]);

    // A title that people set is found at once, and stays when the file is ingested again.
    let update = VideoUpdate::default().with_title("First of all").with_url("https://videos.example/a");
    world.cogniverse.catalogue().update_video(&tenant("acme"), &profile(TEXT), &id("a"), update).await.unwrap();
    assert_eq!(found(&world, "first").await.len(), 2);
    let again = ingest(&world, source()).await;
    assert_eq!((again.stored(), again.unchanged()), (0, 4), "{again}");
    assert_eq!(found(&world, "first").await[0], ("a".to_owned(), "First of all".to_owned()));
    let answer = world.cogniverse.search(SearchRequest::new(tenant("acme"), profile(TEXT), "again")).await.unwrap();
    assert_eq!(answer.results[0].location.as_deref(), Some("https://videos.example/a#t=1"));

    let unknown = world.cogniverse.catalogue().video(&tenant("globex"), &profile(TEXT), &id("a")).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::VideoUnknown);
    let removed = world.cogniverse.catalogue().delete_video(&tenant("acme"), &profile(TEXT), &id("a")).await.unwrap();
    assert_eq!((removed, count(&world).await), (2, 2));
    assert_eq!(titles(&world, query("acme")).await, ["beta", "Gamma"]);
    let gone = world.cogniverse.catalogue().delete_video(&tenant("acme"), &profile(TEXT), &id("a")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    // What is dropped is not listed either, and another tenant's is.
    world.ingest("globex", &[("g", 0.0, 1.0, "theirs")]).await;
    world.cogniverse.drop_schema(&tenant("acme"), &SchemaName::parse(TEXT).unwrap()).await.unwrap();
    assert!(titles(&world, query("acme")).await.is_empty());
    assert_eq!(titles(&world, query("globex")).await, ["g"]);
    let wrong = world.cogniverse.catalogue().videos(query("acme").with_page_size(0)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
}

/// A reader may look and not change; another tenant's reader not even look.
#[tokio::test]
async fn the_catalogue_asks_the_gate() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    world.ingest("acme", &[("v", 0.0, 1.0, "hello")]).await;
    let caller =
        |of: &str| Caller::new(CallerId::parse("anna").unwrap()).with_tenant(tenant(of)).with_role(Role::Reader);
    let own = world.cogniverse.for_caller(caller("acme"));
    assert_eq!(own.catalogue().videos(query("acme")).await.unwrap().videos.len(), 1);
    let refused = own.catalogue().delete_video(&tenant("acme"), &profile(TEXT), &id("v")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TenantUnknown, "{refused}");
    let other = world.cogniverse.for_caller(caller("globex"));
    // Not even that there is such a tenant.
    assert_eq!(other.catalogue().videos(query("acme")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(other.catalogue().jobs(&tenant("acme"), 10, None).await.unwrap_err().code(), ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn metadata_is_declared_stored_filtered_and_said_where_it_is_not() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    declare(&world, &[("speaker", MetadataType::String), ("held", MetadataType::Date), ("topics", MetadataType::List)])
        .await;
    declare(&world, &[("rating", MetadataType::Number), ("public", MetadataType::Boolean)]).await;
    let line = |video: &str, metadata: &str| {
        format!(
            r#"{{"video_id": "{video}", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "heat", "metadata": {metadata}}}"#
        )
    };
    let lines = [
        line(
            "one",
            r#"{"speaker": "Ada", "held": "2026-01-02", "topics": ["physics", "maths"], "rating": 4.5, "public": true}"#,
        ),
        line(
            "two",
            r#"{"speaker": "Grace", "held": "2026-03-04", "topics": ["maths"], "rating": "many", "mood": "calm"}"#,
        ),
        line("three", "{}"),
    ];
    let report = ingest(&world, IngestSource::Segments(world.file("m.jsonl", &lines.join("\n")))).await;
    assert!(report.is_complete(), "{report}");
    let left_out = &report.videos[1].metadata_left_out;
    assert!(
        left_out.len() == 2 && left_out[0].starts_with("mood: ") && left_out[1].starts_with("rating: "),
        "{left_out:?}"
    );
    let search = async |filter: serde_json::Value| {
        let filter = Filter::from_json(&filter).unwrap();
        let request = SearchRequest::new(tenant("acme"), profile(TEXT), "heat").with_filter(filter);
        let answer = world.cogniverse.search(request).await.unwrap();
        let mut videos: Vec<String> = answer.results.iter().map(|result| result.video_id.clone()).collect();
        videos.sort();
        videos
    };
    assert_eq!(search(serde_json::json!({"meta.speaker": "Ada"})).await, ["one"]);
    assert_eq!(search(serde_json::json!({"meta.held": {"gte": "2026-02-01"}})).await, ["two"]);
    assert_eq!(search(serde_json::json!({"meta.topics": "maths"})).await, ["one", "two"]);
    assert_eq!(search(serde_json::json!({"meta.rating": {"gt": 4}})).await, ["one"]);
    assert_eq!(search(serde_json::json!({"meta.public": true})).await, ["one"]);
    assert_eq!(
        search(serde_json::json!({"not": {"meta.speaker": "Ada"}})).await,
        ["three", "two"],
        "what has none is not Ada's"
    );
    let request = SearchRequest::new(tenant("acme"), profile(TEXT), "heat")
        .with_filter(Filter::equals(FieldName::parse("meta_speaker").unwrap(), "Ada"));
    let hit = world.cogniverse.search(request).await.unwrap().results.remove(0);
    assert_eq!(hit.metadata.len(), 5);
    assert_eq!(hit.metadata[&name("held")].to_string(), "2026-01-02T00:00:00Z");
    // Another tenant declares nothing, and has none of these fields.
    let foreign = SearchRequest::new(tenant("globex"), profile(TEXT), "heat")
        .with_filter(Filter::equals(FieldName::parse("meta_speaker").unwrap(), "Ada"));
    assert_eq!(world.cogniverse.search(foreign).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    // Changing metadata encodes nothing; removing it is kept by the next ingest.
    let update = VideoUpdate::default().with_metadata(name("speaker"), "Ada Lovelace").without_metadata(name("rating"));
    let changed =
        world.cogniverse.catalogue().update_video(&tenant("acme"), &profile(TEXT), &id("one"), update).await.unwrap();
    assert_eq!(changed.metadata.len(), 4);
    let again = ingest(&world, IngestSource::Segments(world.file("m.jsonl", &lines.join("\n")))).await;
    assert_eq!((again.stored(), again.unchanged()), (0, 3), "{again}");
    assert_eq!(search(serde_json::json!({"meta.speaker": "Ada Lovelace"})).await, ["one"]);
    assert!(search(serde_json::json!({"meta.rating": {"gt": 0}})).await.is_empty());
    for (wrong, code) in [
        (VideoUpdate::default().with_metadata(name("mood"), "calm"), ErrorCode::MetadataInvalid),
        (VideoUpdate::default().with_metadata(name("rating"), "many"), ErrorCode::MetadataInvalid),
        (VideoUpdate::default().with_title("x".repeat(5000)), ErrorCode::TextTooLong),
    ] {
        let error = world.cogniverse.catalogue().update_video(&tenant("acme"), &profile(TEXT), &id("one"), wrong).await;
        assert_eq!(error.unwrap_err().code(), code);
    }
    // A type never changes under stored values.
    declare(&world, &[("speaker", MetadataType::List)]).await;
    let source = IngestSource::Segments(world.file("m.jsonl", &lines.join("\n")));
    let refused = world.cogniverse.ingest(IngestRequest::new(tenant("acme"), profile(TEXT), source)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::SchemaDiffers);
}

#[tokio::test]
async fn a_renamed_file_is_the_same_video_and_a_replaced_one_takes_its_place() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(folder.path(), "one.mp4", 3, true);
    clip(folder.path(), "two.mp4", 4, true);
    std::fs::write(at("one.srt"), format!("{SRT}of one\n")).unwrap();
    std::fs::write(
        at("one.info.json"),
        r#"{"title": "The First", "webpage_url": "https://v.example/1", "upload_date": "20260102"}"#,
    )
    .unwrap();
    settle(folder.path());
    let first = folder_of(&world, folder.path()).await;
    assert!(first.is_complete(), "{first}");
    assert_eq!(first.videos[0].metadata_file.as_deref(), Some("one.info.json"));
    assert_eq!(titles(&world, query("acme")).await, ["The First", "two"]);
    let shown =
        world.cogniverse.catalogue().videos(query("acme").sorted_by(VideoSort::RecordedAt)).await.unwrap().videos;
    assert_eq!(shown[0].recorded_at.unwrap().to_string(), "2026-01-02T00:00:00Z");
    assert!((shown[0].duration.unwrap() - 3.0).abs() < 0.2 && shown[0].transcript_file.as_deref() == Some("one.srt"));
    // Nothing changed: nothing is read of the videos, and the report says the same.
    let second = folder_of(&world, folder.path()).await;
    assert_eq!((second.stored(), second.unchanged(), second.videos[0].transcript), (0, 2, first.videos[0].transcript));
    assert_eq!(second.videos[0].metadata_file.as_deref(), Some("one.info.json"));

    // Renamed with what belongs to it.
    for ending in ["mp4", "srt", "info.json"] {
        std::fs::rename(at(&format!("one.{ending}")), at(&format!("uno.{ending}"))).unwrap();
    }
    let renamed = folder_of(&world, folder.path()).await;
    assert!(renamed.is_complete() && renamed.stored() <= 1 && renamed.pruned_count == 0, "{renamed}");
    assert_eq!((renamed.videos[1].video_id.clone(), count(&world).await), (first.videos[0].video_id.clone(), 2));
    let source = world.cogniverse.catalogue().videos(query("acme")).await.unwrap().videos[0].source.clone().unwrap();
    assert!(source.ends_with("uno.mp4"), "{source}");

    // Other content under the same path: the old video goes once the new one is stored.
    clip(folder.path(), "two.mp4", 5, true);
    let replaced = folder_of(&world, folder.path()).await;
    let new = replaced.videos.iter().find(|video| video.name.ends_with("two.mp4")).unwrap();
    assert_eq!((new.status, new.replaced.len(), count(&world).await), (VideoStatus::Done, 1, 2));
    assert_eq!(new.replaced[0], *first.videos[1].video_id.as_ref().unwrap());

    // Swapped: both stay what they are.
    std::fs::rename(at("uno.mp4"), at("x.mp4")).unwrap();
    std::fs::rename(at("two.mp4"), at("uno.mp4")).unwrap();
    std::fs::rename(at("x.mp4"), at("two.mp4")).unwrap();
    let swapped = folder_of(&world, folder.path()).await;
    assert!(swapped.videos.iter().all(|video| video.replaced.is_empty()) && count(&world).await == 2, "{swapped}");

    // Renamed to what cannot be read as a whole: nothing is removed before it is known what it is.
    std::fs::rename(at("two.mp4"), at("due.mp4")).unwrap();
    std::fs::write(at("due.meta.json"), "{\"title\": ").unwrap();
    let unread = folder_of(&world, folder.path()).await;
    assert!(!unread.is_complete() && unread.pruned_count == 0 && count(&world).await == 2, "{unread}");
    std::fs::remove_file(at("due.meta.json")).unwrap();
    std::fs::rename(at("due.mp4"), at("two.mp4")).unwrap();

    // Gone from the folder: removed where that was asked for, and not otherwise.
    std::fs::remove_file(at("two.mp4")).unwrap();
    assert!(ingest(&world, IngestSource::Folder(folder.path().to_owned())).await.is_complete());
    assert_eq!(count(&world).await, 2);
    let pruned = folder_of(&world, folder.path()).await;
    assert_eq!((pruned.pruned_count, count(&world).await), (1, 1));
    assert!(pruned.pruned[0].ends_with("two.mp4"));
    // What cannot be listed is not gone.
    std::fs::remove_dir_all(folder.path()).unwrap();
    let source = IngestSource::Folder(folder.path().to_owned());
    let request = IngestRequest::new(tenant("acme"), profile(TEXT), source).with_prune();
    assert!(world.cogniverse.ingest(request).await.is_err());
    assert_eq!(count(&world).await, 1);
}

#[tokio::test]
async fn ids_of_the_caller_streams_and_copies_with_other_words() {
    if !ffmpeg_is_there() {
        return;
    }
    let encoder = Probe::new(384);
    let world = World::with(&["acme"], |b| b.encoder("probe", encoder.clone())).await;
    world.set_encoder("acme", "probe").await;
    declare(&world, &[("speaker", MetadataType::String)]).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(folder.path(), "talk.mp4", 3, true);
    std::fs::write(at("talk.srt"), format!("{SRT}heat flows\n")).unwrap();
    let input = |file: &str| {
        VideoInput::file(at(file))
            .with_id("lecture-42")
            .with_title("On heat")
            .with_url("https://v.example/42")
            .with_metadata(name("speaker"), "Ada")
    };
    let report = ingest(&world, IngestSource::Videos(vec![input("talk.mp4")])).await;
    assert!(report.is_complete(), "{report}");
    let shown = world.cogniverse.catalogue().video(&tenant("acme"), &profile(TEXT), &id("lecture-42")).await.unwrap();
    assert_eq!((shown.video.title.as_str(), shown.video.url.as_deref()), ("On heat", Some("https://v.example/42")));
    assert_eq!(shown.video.metadata[&name("speaker")], MetadataValue::from("Ada"));
    let encoded = encoder.segments.load(Ordering::SeqCst);
    // The same words and other pictures under the id: everything is encoded anew.
    clip(folder.path(), "talk.mp4", 4, true);
    assert!(ingest(&world, IngestSource::Videos(vec![input("talk.mp4")])).await.is_complete());
    assert_eq!((encoder.segments.load(Ordering::SeqCst), count(&world).await), (encoded + 1, 1));
    // Without the id the file keeps the one that somebody gave it.
    let report = ingest(&world, IngestSource::Files(vec![at("talk.mp4")])).await;
    assert_eq!(report.videos[0].video_id, Some(id("lecture-42")));
    // One id for two files of a run.
    clip(folder.path(), "other.mp4", 5, true);
    let twice = ingest(&world, IngestSource::Videos(vec![input("talk.mp4"), input("other.mp4")])).await;
    assert_eq!(twice.videos[1].status, VideoStatus::Duplicate);

    // An upload.
    let bytes = std::fs::read(clip(folder.path(), "upload.mp4", 6, true)).unwrap();
    let stream = |most: u64| VideoInput::stream("upload.mp4", std::io::Cursor::new(bytes.clone()), most).with_id("up");
    let report = ingest(&world, IngestSource::Videos(vec![stream(bytes.len() as u64)])).await;
    assert!(report.is_complete(), "{report}");
    let shown = world.cogniverse.catalogue().video(&tenant("acme"), &profile(TEXT), &id("up")).await.unwrap();
    assert_eq!((shown.video.title.as_str(), shown.video.source.as_deref()), ("upload", None));
    let report = ingest(&world, IngestSource::Videos(vec![stream(100)])).await;
    assert!(report.videos[0].reason.as_ref().unwrap().contains("more than 100 bytes"), "{report}");

    // Two files of one content: with other words they are two videos, and stay so.
    std::fs::create_dir(at("translated")).unwrap();
    std::fs::copy(at("upload.mp4"), at("translated/upload.mp4")).unwrap();
    std::fs::write(at("upload.srt"), format!("{SRT}good morning\n")).unwrap();
    std::fs::write(at("translated/upload.srt"), format!("{SRT}guten morgen\n")).unwrap();
    let files = || IngestSource::Files(vec![at("upload.mp4"), at("translated/upload.mp4")]);
    let report = ingest(&world, files()).await;
    assert!(report.is_complete() && report.videos[0].video_id != report.videos[1].video_id, "{report}");
    let ids = |report: &IngestReport| report.videos.iter().map(|video| video.video_id.clone()).collect::<Vec<_>>();
    let before = ids(&report);
    assert_eq!(ids(&ingest(&world, files()).await), before);
    assert_eq!(ids(&ingest(&world, IngestSource::Files(vec![at("translated/upload.mp4")])).await), before[1..]);
    assert_eq!((found(&world, "morgen").await.len(), found(&world, "morning").await.len()), (1, 1));
    let many = VideoInput::file(at("talk.mp4")).with_id("x".repeat(300));
    assert!(ingest(&world, IngestSource::Videos(vec![many])).await.videos[0].reason.is_some());
}

#[tokio::test]
async fn thumbnails_are_pictures_and_only_of_the_file_that_was_ingested() {
    if !ffmpeg_is_there() {
        return;
    }
    let world = World::with(&["acme"], |b| b).await;
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "talk.mp4", 3, true);
    settle(folder.path());
    let report = ingest(&world, IngestSource::Files(vec![path.clone()])).await;
    let video = report.videos[0].video_id.clone().unwrap();
    let picture =
        async |at: f64| world.cogniverse.catalogue().thumbnail(&tenant("acme"), &profile(TEXT), &video, at).await;
    let first = picture(1.0).await.unwrap();
    assert!(first.starts_with(&[0xFF, 0xD8, 0xFF]) && first.len() > 500);
    let began = Instant::now();
    assert_eq!(picture(1.0).await.unwrap(), first);
    assert!(began.elapsed() < Duration::from_millis(50), "from the cache");
    assert!(picture(1e9).await.unwrap().starts_with(&[0xFF, 0xD8]), "the last one");
    assert_eq!(picture(-1.0).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(picture(f64::NAN).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    clip(folder.path(), "talk.mp4", 5, true);
    assert_eq!(picture(2.0).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    std::fs::remove_file(path).unwrap();
    assert_eq!(picture(2.0).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
}

#[tokio::test]
async fn jobs_are_told_cancelled_and_kept() {
    let encoder = Probe::new(384);
    let world = World::with(&["acme", "globex"], |b| b.encoder("probe", encoder.clone())).await;
    let lines: Vec<String> = (0..300)
        .map(|n| format!(r#"{{"video_id": "v{n}", "segment_id": 0, "start_time": 0, "end_time": 1, "audio_transcript": "word {n}"}}"#))
        .collect();
    let file = world.file("many.jsonl", &lines.join("\n"));
    let request = || IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments(file.clone()));
    let job = world.cogniverse.start_ingest(request()).await.unwrap();
    let job_id = job.id().clone();
    assert!(job.wait().await.unwrap().is_complete());
    let kept = world.cogniverse.catalogue().job(&tenant("acme"), &job_id).await.unwrap();
    assert_eq!((kept.state, kept.segments, kept.error), (JobState::Done, 300, None));
    let foreign = world.cogniverse.catalogue().job(&tenant("globex"), &job_id).await.unwrap_err();
    assert_eq!(foreign.code(), ErrorCode::JobUnknown);
    // Cancelled before it could begin much.
    world.set_encoder("acme", "probe").await;
    let job = world.cogniverse.start_ingest(request()).await.unwrap();
    job.cancel();
    let cancelled_id = job.id().clone();
    let error = job.wait().await.unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
    // One that fails as a whole.
    encoder.broken.store(true, Ordering::SeqCst);
    let nowhere = IngestRequest::new(tenant("acme"), profile(TEXT), IngestSource::Segments("/nowhere.jsonl".into()));
    let failed = world.cogniverse.start_ingest(nowhere).await.unwrap();
    assert!(failed.wait().await.is_err());
    let jobs = world.cogniverse.catalogue().jobs(&tenant("acme"), 10, None).await.unwrap().jobs;
    assert_eq!(
        jobs.iter().map(|job| job.state).collect::<Vec<_>>(),
        [JobState::Failed, JobState::Cancelled, JobState::Done]
    );
    assert_eq!(jobs[1].id, cancelled_id);
    assert!(jobs[0].error.is_some() && !serde_json::to_string(&jobs).unwrap().contains("No such file"), "{jobs:?}");
    assert!(
        world
            .cogniverse
            .start_ingest(IngestRequest::new(tenant("nobody"), profile(TEXT), IngestSource::Files(vec![])))
            .await
            .is_err()
    );
}

/// What is known of videos goes with their tenant, and is in its backups as all documents are.
#[tokio::test]
async fn the_catalogue_is_erased_with_its_tenant() {
    let world = World::with(&["acme", "globex"], |b| b).await;
    world.ingest("acme", &[("v", 0.0, 1.0, "hello")]).await;
    world.ingest("globex", &[("v", 0.0, 1.0, "hello")]).await;
    world.cogniverse.suspend(&tenant("acme"), cogniverse::Suspend::new("it left")).await.unwrap();
    world.cogniverse.erase(&tenant("acme")).await.unwrap();
    assert_eq!(titles(&world, query("globex")).await.len(), 1);
    world.cogniverse.create_tenant(&tenant("acme"), cogniverse::Template::Startup).await.unwrap();
    assert!(titles(&world, query("acme")).await.is_empty());
}

/// A whole catalogue of unchanged videos is looked through without reading one of them.
#[tokio::test]
async fn many_unchanged_videos_are_passed_quickly() {
    if !ffmpeg_is_there() {
        return;
    }
    let videos: usize = std::env::var("COGNIVERSE_MANY_VIDEOS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let encoder = Probe::new(384);
    let world = World::with(&["acme"], |b| b.encoder("probe", encoder.clone())).await;
    world.set_encoder("acme", "probe").await;
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(clip(folder.path(), "v.mp4", 2, true)).unwrap();
    std::fs::remove_file(folder.path().join("v.mp4")).unwrap();
    for number in 0..videos {
        // Other content each: what follows the last box is no part of the video.
        let tail = format!("{number:08}");
        let free = [&16u32.to_be_bytes()[..], b"free", tail.as_bytes()].concat();
        std::fs::write(folder.path().join(format!("v{number:05}.mp4")), [bytes.as_slice(), &free].concat()).unwrap();
        std::fs::write(folder.path().join(format!("v{number:05}.srt")), format!("{SRT}words of {number}\n")).unwrap();
    }
    settle(folder.path());
    let source = || IngestSource::Folder(folder.path().to_owned());
    let report = ingest(&world, source()).await;
    assert!(report.is_complete() && report.stored() == videos, "{report}");
    let began = Instant::now();
    let again = ingest(&world, source()).await;
    let took = began.elapsed();
    println!("{videos} unchanged videos in {took:.2?}");
    assert_eq!((again.stored(), again.unchanged()), (0, videos));
    assert_eq!(encoder.segments.load(Ordering::SeqCst), videos);
    assert!(took < Duration::from_millis(2) * u32::try_from(videos).unwrap() + Duration::from_secs(1), "{took:?}");
    let began = Instant::now();
    let page = world.cogniverse.catalogue().videos(query("acme").with_page_size(100)).await.unwrap();
    println!("a page of {} in {:.2?}", page.videos.len(), began.elapsed());
    assert_eq!(page.videos.len(), videos.min(100));
    // What somebody deleted behind the catalogue's back is noticed and made again.
    let schema = TenantSchema::new(&tenant("acme"), &SchemaName::parse(TEXT).unwrap());
    let one = world.cogniverse.visit_documents(VisitRequest::new(schema.clone()).with_page_size(1)).await.unwrap();
    let ids = vec![one.documents[0].document.id.clone()];
    world.cogniverse.delete_documents(cogniverse::sdk::document_store::DeleteRequest::ids(schema, ids)).await.unwrap();
    let mended = ingest(&world, source()).await;
    assert_eq!((mended.stored(), mended.unchanged()), (1, videos - 1));
}
