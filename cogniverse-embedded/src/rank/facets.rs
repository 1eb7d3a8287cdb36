//! Counts of the matched documents by the values of a field.
//!
//! Each block counts by the numbers of its dictionary, and the blocks' counts are added up by value.

use super::prepare::Prepared;
use crate::{
    cores::OwnCore,
    index::{ColumnValue, Places, Snapshot},
};
use cogniverse_sdk::{Error, Facet, FacetCount, FacetRequest, FieldValue, Filter, Result, schema::FieldType};
use std::{cmp::Ordering, collections::HashMap};

/// Counts the matched documents, given by block.
pub(super) fn count(
    snapshot: &Snapshot,
    prepared: &Prepared,
    request: &FacetRequest,
    matched: &[Places],
    cores: &OwnCore,
) -> Result<Facet> {
    let attributes = &snapshot.layout().attributes;
    let (_, of_type) = attributes.iter().find(|(name, _)| *name == request.field).ok_or_else(|| {
        Error::unexpected(format!("the index lacks the field \"{}\", which the schema has", request.field))
    })?;
    let make = || (prepared.meter(), HashMap::new());
    let parts = cores.share(matched.len(), make, |(meter, counts), number| {
        let (Some(view), Some(places)) = (snapshot.blocks().get(number), matched.get(number)) else { return Ok(()) };
        meter.check_time()?;
        meter.spend(places.count() * 8)?;
        for (value, count) in view.block.columns().counts(&request.field, places) {
            *counts.entry(value).or_insert(0_u64) += count;
        }
        Ok(())
    })?;
    let mut parts = parts.into_iter().map(|(_, counts)| counts);
    let mut counts: HashMap<ColumnValue<'_>, u64> = parts.next().unwrap_or_default();
    for (value, count) in parts.flatten() {
        *counts.entry(value).or_default() += count;
    }
    let mut listed: Vec<(ColumnValue<'_>, u64)> = counts.into_iter().collect();
    if let Some(last) = request.limit.checked_sub(1).filter(|last| *last < listed.len()) {
        listed.select_nth_unstable_by(last, by_count);
    }
    listed.truncate(request.limit);
    listed.sort_unstable_by(by_count);
    let values: Vec<FacetCount> =
        listed.iter().map(|(value, count)| FacetCount::new(value.to_field_value(of_type), *count)).collect();
    let all: u64 = matched.iter().map(|places| places.count() as u64).sum();
    let with_listed = match of_type {
        FieldType::StringArray => having(snapshot, prepared, request, matched, &values)?,
        _ => listed.iter().map(|(_, count)| count).sum(),
    };
    Ok(Facet::new(request.field.clone(), values, all.saturating_sub(with_listed)))
}

/// Returns the number of matched documents whose list has one of the values.
fn having(
    snapshot: &Snapshot,
    prepared: &Prepared,
    request: &FacetRequest,
    matched: &[Places],
    values: &[FacetCount],
) -> Result<u64> {
    let listed: Vec<FieldValue> = values.iter().map(|listed| listed.value.clone()).collect();
    let (filter, meter) = (Filter::In(request.field.clone(), listed), prepared.meter());
    let mut having = 0;
    for (view, matched) in snapshot.blocks().iter().zip(matched) {
        let mut places = view.block.columns().matching(&filter, &|work| meter.spend(work))?;
        places.and(matched);
        having += places.count() as u64;
    }
    Ok(having)
}

/// Orders by descending count, then by ascending value.
fn by_count(a: &(ColumnValue<'_>, u64), b: &(ColumnValue<'_>, u64)) -> Ordering {
    b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0))
}
