//! Listings of documents in the order of a field.

use crate::{
    index::{ColumnValue, Places},
    rank::{After, first},
    tenant_store::TenantStore,
};
use cogniverse_sdk::{
    Document, Error, ErrorCode, OwnedDocument, Result,
    document_store::{ListRequest, VisitPage},
};
use serde::{Deserialize, Serialize};

/// The position of a listing: after a document, in the file of this identity.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    store: String,
    value: Option<Value>,
    id: String,
}

/// A value as it stands in a cursor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Number(u64),
    Text(String),
}

/// Returns one page. A position is a value and an id, so that what is written between two pages moves no other document.
pub(crate) fn list(store: &TenantStore, request: &ListRequest) -> Result<VisitPage> {
    request.check_page_size()?;
    let schema = store.schema();
    schema.check_sort(&request.sort)?;
    if let Some(filter) = &request.filter {
        schema.check_filter(filter)?;
    }
    let position: Option<Position> = request.position()?;
    if position.as_ref().is_some_and(|position| position.store != store.store_name()) {
        let message = "the schema was dropped and deployed again since this page cursor; start again without it";
        return Err(Error::of(ErrorCode::PageCursorOtherRequest, message).with_context("schema", store.name()));
    }
    let after = position.as_ref().map(|position| After {
        value: position.value.as_ref().map(|value| match value {
            Value::Number(number) => ColumnValue::Number(*number),
            Value::Text(text) => ColumnValue::Text(text.as_bytes()),
        }),
        id: position.id.as_bytes(),
    });
    let moment = store.moment()?;
    let (connection, record, snapshot) = (moment.connection()?, store.record(), &*moment.snapshot);
    let mut places: Vec<Places> = Vec::with_capacity(snapshot.blocks().len());
    for view in snapshot.blocks() {
        let mut met = view.live.clone();
        if let Some(filter) = &request.filter {
            met.and(&view.block.columns().matching(filter, &|_| Ok(()))?);
        }
        places.push(met);
    }
    // One more than asked for tells whether there is a next page.
    let mut page = first(snapshot, &places, &request.sort, (after, request.page_size + 1), &|_| Ok(()))?;
    let more = page.len() > request.page_size;
    page.truncate(request.page_size);
    let rows: Vec<i64> =
        page.iter().filter_map(|found| snapshot.blocks().get(found.block)?.block.row(found.place as usize)).collect();
    let mut documents = Vec::with_capacity(rows.len());
    for (row, stored) in rows.iter().zip(record.documents(&connection, &rows)?) {
        let stored = stored.ok_or_else(|| {
            crate::error::corrupt(record.path(), format!("row {row} is in the index and not in the file"))
        })?;
        documents.push(OwnedDocument::new(store.name().clone(), Document { id: stored.id, fields: stored.fields }));
    }
    let next = match page.last().filter(|_| more) {
        None => None,
        Some(last) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let value = last.value.map(|value| match value {
                ColumnValue::Number(number) => Value::Number(number),
                ColumnValue::Text(bytes) => Value::Text(text(bytes)),
            });
            let position = Position { store: store.store_name().to_owned(), value, id: text(last.id) };
            Some(request.seal(&position)?)
        }
    };
    Ok(VisitPage::new(documents, next))
}
