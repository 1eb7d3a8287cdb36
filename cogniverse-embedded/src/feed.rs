//! `DocumentStore`: storing, reading, deleting and visiting documents of one tenant schema.

use crate::{
    backend::EmbeddedBackend, index::Snapshot, listing::list, record::StoredDocument, snapshot::MAX_PAGE,
    tenant_store::TenantStore,
};
use async_trait::async_trait;
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{
    Document, DocumentOutcome, DocumentStore, Error, ErrorCode, ErrorKind, FeedReport, FieldName, Filter,
    OwnedDocument, Result, TenantId, TenantSchema, TenantSnapshot,
    document_store::{
        DeleteRequest, DeleteTarget, DocumentUpdate, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage,
        VisitRequest,
    },
    schema::FieldType,
};
use std::{collections::BinaryHeap, sync::Arc};

#[async_trait]
impl DocumentStore for EmbeddedBackend {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.with_store("put", request.schema, move |store| put(store, request.documents)).await
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.with_store("update", request.schema, move |store| update(store, request.updates)).await
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let GetRequest { schema, ids, vectors, .. } = request;
        self.with_store("get", schema, move |store| {
            let moment = store.moment()?;
            let (connection, record) = (moment.connection()?, store.record());
            moment.check_order(&connection)?;
            let read = |id| {
                let document = match record.find(&connection, id)? {
                    Some(stored) if vectors => record.complete(&moment.files, stored)?,
                    Some(stored) => Document { id: stored.id, fields: stored.fields },
                    None => return Ok(None),
                };
                Ok(Some(OwnedDocument::new(store.name().clone(), document)))
            };
            ids.iter().map(read).collect()
        })
        .await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        self.with_store("delete", request.schema, move |store| delete(store, &request.target)).await
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.with_store("visit", request.schema.clone(), move |store| visit(store, &request)).await
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        self.with_store("list", request.schema.clone(), move |store| list(store, &request)).await
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let filter = filter.cloned();
        self.with_store("count", schema.clone(), move |store| {
            // The index would go on to count what is lost.
            store.record().check_file()?;
            let moment = store.moment()?;
            match filter {
                None => Ok(moment.snapshot.len() as u64),
                Some(filter) => {
                    store.schema().check_filter(&filter)?;
                    Ok(matching_rows(&moment.snapshot, &filter)?.len() as u64)
                }
            }
        })
        .await
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        self.take_snapshot(tenant).await.map(|snapshot| Some(Arc::new(snapshot) as _))
    }
}

fn put(store: &TenantStore, documents: Vec<Document>) -> Result<FeedReport> {
    let schema = store.schema();
    let mut outcomes = Vec::with_capacity(documents.len());
    let mut accepted = Vec::with_capacity(documents.len());
    for document in documents {
        match schema.check_document_fields(&document.fields) {
            Ok(()) => {
                outcomes.push(DocumentOutcome::stored(document.id.clone()));
                accepted.push(document);
            }
            Err(error) => outcomes
                .push(DocumentOutcome::refused(document.id.clone(), error.with_context("document", &document.id))),
        }
    }
    if !accepted.is_empty() {
        store.write(|_, writer| accepted.into_iter().try_for_each(|document| writer.put(document)))?;
    }
    Ok(FeedReport::new(outcomes))
}

fn update(store: &TenantStore, updates: Vec<DocumentUpdate>) -> Result<FeedReport> {
    let schema = store.schema();
    let mut outcomes = Vec::with_capacity(updates.len());
    store.write(|_, writer| {
        for update in updates {
            let id = update.id.clone();
            if let Err(error) = check_update(&schema, &update) {
                outcomes.push(DocumentOutcome::refused(id.clone(), error.with_context("document", &id)));
                continue;
            }
            let Some(mut stored) = writer.find(&id)? else {
                let missing =
                    Error::of(ErrorCode::DocumentUnknown, format!("no document \"{id}\" to update; put it first"));
                outcomes.push(DocumentOutcome::refused(id, missing));
                continue;
            };
            let tensors: Vec<FieldName> =
                update.assign.keys().chain(&update.clear).filter(|name| is_tensor(&schema, name)).cloned().collect();
            let mut fields = std::mem::take(&mut stored.fields);
            for name in &update.clear {
                fields.remove(name);
            }
            fields.extend(update.assign);
            writer.replace(stored, fields, &tensors)?;
            outcomes.push(DocumentOutcome::stored(id));
        }
        Ok(())
    })?;
    Ok(FeedReport::new(outcomes))
}

fn check_update(schema: &Schema, update: &DocumentUpdate) -> Result<()> {
    schema.check_document_fields(&update.assign)?;
    match update.clear.iter().find(|name| schema.field(name.as_str()).is_none()) {
        Some(name) => Err(Error::unknown("field", name, schema.fields().iter().map(|field| &field.name))),
        None => Ok(()),
    }
}

fn is_tensor(schema: &Schema, name: &FieldName) -> bool {
    schema.field(name.as_str()).is_some_and(|field| matches!(field.field_type, FieldType::Tensor(_)))
}

fn delete(store: &TenantStore, target: &DeleteTarget) -> Result<u64> {
    if let DeleteTarget::Matching(filter) = target {
        store.schema().check_filter(filter)?;
    }
    let mut deleted = 0;
    store.write(|snapshot, writer| {
        let rows = match target {
            DeleteTarget::Matching(filter) => matching_rows(snapshot, filter)?,
            DeleteTarget::Ids(ids) => {
                let mut rows = Vec::with_capacity(ids.len());
                for id in ids {
                    rows.extend(writer.find(id)?.map(|stored| stored.row));
                }
                rows.sort_unstable();
                rows.dedup();
                rows
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "this backend does not know that way to name documents",
                ));
            }
        };
        deleted = rows.len() as u64;
        rows.into_iter().try_for_each(|row| writer.delete(row))
    })?;
    Ok(deleted)
}

fn matching_rows(snapshot: &Snapshot, filter: &Filter) -> Result<Vec<i64>> {
    let mut rows = Vec::new();
    for view in snapshot.blocks() {
        let mut met = view.block.columns().matching(filter, &|_| Ok(()))?;
        met.and(&view.live);
        rows.extend(met.iter().filter_map(|place| view.block.row(place as usize)));
    }
    Ok(rows)
}

/// The position of a visit.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Position {
    /// After a document of the file of this identity, so that a schema that was deployed anew refuses it.
    In(String, String),
    /// After a document, as the first release wrote it.
    After(String),
}

/// Visits documents in id order, which updates do not change, so that a document present throughout is returned
/// exactly once.
fn visit(store: &TenantStore, request: &VisitRequest) -> Result<VisitPage> {
    if !(1..=MAX_PAGE).contains(&request.page_size) {
        return Err(Error::invalid(format!(
            "a page of {} documents; give a page size from 1 to {MAX_PAGE}",
            request.page_size
        )));
    }
    if let Some(filter) = &request.filter {
        store.schema().check_filter(filter)?;
    }
    let after = match request.position()? {
        None => String::new(),
        Some(Position::After(id)) => id,
        Some(Position::In(name, id)) if name == store.store_name() => id,
        Some(Position::In(..)) => {
            let message = "the schema was dropped and deployed again since this page cursor; start again without it";
            return Err(Error::of(ErrorCode::PageCursorOtherRequest, message).with_context("schema", store.name()));
        }
    };
    let moment = store.moment()?;
    let (connection, record) = (moment.connection()?, store.record());
    moment.check_order(&connection)?;
    // One more than asked for tells whether there is a next page.
    let wanted = request.page_size + 1;
    let mut page = match &request.filter {
        None => record.page(&connection, &after, wanted)?,
        Some(filter) => {
            let rows = first_matching(&moment.snapshot, filter, &after, wanted)?;
            rows.into_iter().map(|row| moment.document(&connection, row)).collect::<Result<_>>()?
        }
    };
    let more = page.len() == wanted;
    page.truncate(request.page_size);
    let next = match page.last() {
        Some(last) if more => Some(request.seal(&(store.store_name(), last.id.as_str()))?),
        _ => None,
    };
    let read = |stored: StoredDocument| {
        let document = match request.vectors {
            true => record.complete(&moment.files, stored)?,
            false => Document { id: stored.id, fields: stored.fields },
        };
        Ok(OwnedDocument::new(store.name().clone(), document))
    };
    Ok(VisitPage::new(page.into_iter().map(read).collect::<Result<_>>()?, next))
}

/// Returns the rows of the first documents after an id that match a filter, in id order. The in-memory index decides,
/// so documents that do not match are not read.
fn first_matching(snapshot: &Snapshot, filter: &Filter, after: &str, wanted: usize) -> Result<Vec<i64>> {
    let mut first: BinaryHeap<(&[u8], i64)> = BinaryHeap::new();
    for view in snapshot.blocks() {
        let mut met = view.block.columns().matching(filter, &|_| Ok(()))?;
        met.and(&view.live);
        for place in met.iter().map(|place| place as usize) {
            let (Some(id), Some(row)) = (view.block.id(place), view.block.row(place)) else { continue };
            if id <= after.as_bytes() || (first.len() == wanted && first.peek().is_some_and(|(last, _)| id >= *last)) {
                continue;
            }
            first.push((id, row));
            if first.len() > wanted {
                first.pop();
            }
        }
    }
    Ok(first.into_sorted_vec().into_iter().map(|(_, row)| row).collect())
}
