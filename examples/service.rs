//! The code of the README, verbatim: what a service does on each start.
//!
//! Needs: videos in `videos/acme_corp`, and ffmpeg. Prints: what was ingested, and what is found.
//!
//! `cargo run --example service`

use cogniverse::{Cogniverse, IngestRequest, IngestSource, ProfileName, SearchRequest, Template, TenantId};

#[tokio::main]
async fn main() -> cogniverse::Result<()> {
    let cogniverse = Cogniverse::builder().data_dir("cogniverse-data").open().await?;
    let (acme, profile) = (TenantId::parse("acme_corp")?, ProfileName::parse("video_text_minilm_mv_segment")?);
    cogniverse.ensure_tenant(&acme, Template::Startup).await?;
    cogniverse.deploy(&acme, &profile).await?;
    let videos = IngestSource::Folder("videos/acme_corp".into());
    println!("{}", cogniverse.ingest(IngestRequest::new(acme.clone(), profile.clone(), videos)).await?);
    for hit in cogniverse.search(SearchRequest::new(acme, profile, "machine learning")).await?.results {
        println!("{} {:.1}–{:.1} s: {}", hit.video_id, hit.start_time, hit.end_time, hit.text);
    }
    Ok(())
}
