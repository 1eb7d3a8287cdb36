//! A backup and a restore of segments of 64 vectors of 128 numbers, as bytes a second and the memory that they take.
//!
//! `COGNIVERSE_BENCH_SEGMENTS` sets how many (default 5,000; 100,000 take about 2 GB of disk, three times). Printed and not judged by
//! criterion: one run is long enough.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench stops where it cannot go on"
)]

use cogniverse::{
    Cogniverse, NewTenant, ProfileName, SchemaName, Template, TenantId, TenantSchema,
    backup::{CreateBackup, FolderTarget, RestoreBackup},
    config::QuotaConfig,
    sdk::{BackupTarget, Document, DocumentId, FieldName, Matrix, Tensor, document_store::PutRequest, quantize},
};
use std::{sync::Arc, time::Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BASE: &str = "video_colpali_smol500_mv_frame";
const ROWS: usize = 64;
const WIDTH: usize = 128;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The most memory that the process has used since the last call, in megabytes; `None` where the system does not tell.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1000.0)
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).map(str::to_owned).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1000.0
}

fn segments(from: usize, count: usize) -> Vec<Document> {
    let field = |name: &str| FieldName::parse(name).unwrap();
    let one = |number: usize| {
        let mut state = number as u64 * 0x9E37_79B9_7F4A_7C15 + 1;
        let mut cell = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            quantize::from_bf16(quantize::to_bf16((state >> 40) as f32 / 16_777_216.0 - 0.5))
        };
        let rows = Matrix::new(WIDTH, (0..ROWS * WIDTH).map(|_| cell()).collect()).unwrap();
        let bits = quantize::pack_rows(&rows).unwrap();
        Document::new(DocumentId::parse(format!("v{}/{number}", number / 100)).unwrap())
            .with(field("video_id"), format!("v{}", number / 100))
            .with(field("segment_id"), number as i64)
            .with(field("embedding"), Tensor::Vectors(rows))
            .with(field("embedding_binary"), Tensor::BitRows(bits))
    };
    (from..from + count).map(one).collect()
}

fn main() {
    // Criterion's own flags are taken and ignored.
    let (runtime, count) = (Runtime::new().unwrap(), number("COGNIVERSE_BENCH_SEGMENTS", 5_000));
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    runtime.block_on(async {
        let acme = TenantId::parse("acme").unwrap();
        let c = Cogniverse::builder().data_dir(data.path()).open().await.unwrap();
        let new = NewTenant::new(acme.clone(), Template::Enterprise).with_profile(ProfileName::parse(BASE).unwrap());
        c.create(new).await.unwrap();
        c.operator().config().set_quota_config(&acme, QuotaConfig::new(acme.clone())).await.unwrap();
        let schema = TenantSchema::new(&acme, &SchemaName::parse(BASE).unwrap());
        for from in (0..count).step_by(250) {
            let documents = segments(from, 250.min(count - from));
            let report = c.operator().backend().put(PutRequest::new(schema.clone(), documents)).await.unwrap();
            assert!(report.failures().next().is_none(), "{report:?}");
        }
        let target: Arc<dyn BackupTarget> = Arc::new(FolderTarget::new(place.path()));
        let began_with = resident();
        peak();
        let began = Instant::now();
        let made = c.backups().create(&acme, &target, CreateBackup::new()).await.unwrap();
        let (took, most) = (began.elapsed(), peak());
        let megabytes = made.content_bytes() as f64 / 1e6;
        let memory = |most: Option<f64>, before: f64| most.map_or("?".to_owned(), |most| format!("{:.0}", most - before));
        println!(
            "backup: {count} segments, {megabytes:.0} MB of records ({:.0} MB stored) in {took:.1?}: {:.0} MB/s, {} MB of memory beside {began_with:.0}",
            made.bytes() as f64 / 1e6, megabytes / took.as_secs_f64(), memory(most, began_with)
        );
        let began = Instant::now();
        assert!(c.backups().verify(&target, &made.backup).await.unwrap().is_whole());
        println!("verify: {:.0} MB/s", megabytes / began.elapsed().as_secs_f64());
        let before = resident();
        peak();
        let began = Instant::now();
        let request = RestoreBackup::new(made.backup).into_tenant(TenantId::parse("copy").unwrap());
        c.backups().restore(&target, request).await.unwrap();
        let (took, most) = (began.elapsed(), peak());
        println!(
            "restore: in {took:.1?}: {:.0} MB/s, {} MB of memory beside {before:.0}, of which the tenant's index is a part",
            megabytes / took.as_secs_f64(), memory(most, before)
        );
    });
}
