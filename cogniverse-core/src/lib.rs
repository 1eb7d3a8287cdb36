//! Schemas, tenants and ingestion: what a search needs before it can run.

pub mod schemas;
