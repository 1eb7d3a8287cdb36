//! Canaries among the documents of a backend, and every way to them that a backend has.

use super::{Attack, Canary};
use crate::{
    BackendHits, BackendQuery, DeployedSchema, Document, Error, FacetRequest, FieldName, FieldValue, Filter,
    ListRequest, Matrix, OutcomeStatus, OwnedDocument, Result, SearchBackend, Sort, TenantSchema, Tensor, TensorShape,
    TensorType,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
    quantize::pack_rows,
    schema::{FieldType, Indexing, RankProfile},
    tensor_type::CellType,
};
use sha2::{Digest, Sha256};

/// What is said of an attempt that would have found nothing anyway.
const NOTHING: &str = "the owner does not find the canary either, so this shows nothing";
/// The number of hits that each search asks for.
const HITS: usize = 10;

/// Plants a canary in a deployed schema: documents with its word in every text, and with vectors of its own.
///
/// # Errors
/// `Conflict` where another check runs; any error of the backend.
pub async fn plant_documents(backend: &dyn SearchBackend, deployed: &DeployedSchema, canary: &Canary) -> Result<()> {
    let (schema, ids) = (&deployed.schema, Canary::ids(&canary.tenant)?);
    let found = backend.get(GetRequest::new(schema.clone(), ids.clone()).without_vectors()).await?;
    for document in found.into_iter().flatten() {
        for value in document.document.fields.values() {
            canary.may_replace(value.as_str().unwrap_or_default())?;
        }
    }
    let report = backend.put(PutRequest::new(schema.clone(), documents_of(deployed, canary)?)).await?;
    match report.outcomes.into_iter().find(|outcome| outcome.status != OutcomeStatus::Stored) {
        None => Ok(()),
        Some(outcome) => Err(outcome.error.unwrap_or_else(|| Error::unexpected("a canary was not stored"))),
    }
}

/// Returns the documents of a canary.
fn documents_of(deployed: &DeployedSchema, canary: &Canary) -> Result<Vec<Document>> {
    let one = |id| {
        deployed.definition.document.fields.iter().try_fold(Document::new(id), |document, field| {
            Ok(document.with(field.name.clone(), value_of(&field.field_type, &canary.word)?))
        })
    };
    Canary::ids(&canary.tenant)?.into_iter().map(one).collect()
}

/// Removes a canary from a deployed schema, and what a check that died has left there, and returns how many documents. The
/// canary of a check that may be alive stays.
///
/// # Errors
/// Any error of the backend.
pub async fn remove_documents(backend: &dyn SearchBackend, schema: &TenantSchema, canary: &Canary) -> Result<u64> {
    let found = backend.get(GetRequest::new(schema.clone(), Canary::ids(&canary.tenant)?).without_vectors()).await?;
    let is_removable = |document: &OwnedDocument| {
        document.document.fields.values().filter_map(FieldValue::as_str).all(|word| canary.may_replace(word).is_ok())
    };
    let ids: Vec<_> = found.into_iter().flatten().filter(is_removable).map(|document| document.document.id).collect();
    match ids.is_empty() {
        true => Ok(0),
        false => backend.delete(DeleteRequest::ids(schema.clone(), ids)).await,
    }
}

/// Tries to reach the canary of `planted` through the schema of the attacker that has the same base.
///
/// Each search is made by the owner first: where it does not find its own canary, the attempt says nothing and fails, and a
/// cache that does not tell tenants apart holds the answer when the attacker asks the same.
///
/// # Errors
/// Those of ids that cannot be parsed, of which there are none; what the backend answers is in the outcomes.
pub async fn attack_documents(
    backend: &dyn SearchBackend,
    planted: &DeployedSchema,
    attacker: &TenantSchema,
    canary: &Canary,
) -> Result<Vec<Attack>> {
    let definition = &planted.definition;
    let canary = &canary.clone().with_name(planted.schema.to_string());
    let mut attempts = Vec::new();
    for strategy in &definition.rank_profiles {
        attempts.push(search(backend, &planted.schema, attacker, strategy, canary).await?);
    }
    attempts.push(get(backend, attacker, canary).await?);
    let attribute = definition
        .document
        .fields
        .iter()
        .find(|field| field.field_type == FieldType::String && field.has(Indexing::Attribute));
    if let Some(attribute) = attribute {
        let filter = Filter::equals(attribute.name.clone(), canary.word.as_str());
        if let Some(strategy) = definition.rank_profiles.first() {
            attempts.push(search_filtered(backend, &planted.schema, attacker, strategy, &filter, canary).await?);
            let facet = FacetRequest::new(attribute.name.clone(), HITS);
            let query = |schema: &TenantSchema| -> Result<BackendQuery> {
                let query = query_of(schema, strategy, canary)?.with_filter(Some(filter.clone()));
                Ok(query.with_facets(vec![facet.clone()]))
            };
            attempts.push(count_by_field(backend, query(&planted.schema)?, query(attacker)?, canary).await);
        }
        attempts.push(visit_filtered(backend, &planted.schema, attacker, &filter, canary).await);
        let list = |schema: &TenantSchema| {
            ListRequest::new(schema.clone(), Sort::ascending(attribute.name.clone())).with_filter(Some(filter.clone()))
        };
        attempts.push(list_filtered(backend, list(&planted.schema), list(attacker), canary).await);
        attempts.push(count_filtered(backend, &planted.schema, attacker, &filter, canary).await);
        attempts
            .push(delete(backend, DeleteRequest::matching(attacker.clone(), filter), "delete:filter", canary).await);
    }
    attempts.push(visit(backend, attacker, canary).await);
    attempts.push(continuation(backend, &planted.schema, attacker, canary).await);
    attempts
        .push(update(backend, definition.document.fields.first().map(|field| &field.name), attacker, canary).await?);
    let ids = DeleteRequest::ids(attacker.clone(), Canary::ids(&canary.tenant)?);
    attempts.push(delete(backend, ids, "delete:id", canary).await);
    attempts.push(listing(backend, attacker, canary).await);
    attempts.push(unharmed(backend, planted, canary).await?);
    Ok(attempts)
}

fn value_of(field_type: &FieldType, word: &str) -> Result<FieldValue> {
    Ok(match field_type {
        FieldType::String => FieldValue::from(word),
        FieldType::Int | FieldType::Long => FieldValue::Integer(0),
        FieldType::Float | FieldType::Double => FieldValue::Float(0.0),
        FieldType::Bool => FieldValue::Bool(false),
        FieldType::StringArray => FieldValue::Strings(vec![word.to_owned()]),
        FieldType::Tensor(tensor) => FieldValue::Tensor(tensor_of(tensor, word)?),
    })
}

/// Returns the vector of a word: of length 1, and far from what any model makes.
fn vector_of(word: &str, dims: usize) -> Vec<f32> {
    let mut signs = Vec::with_capacity(dims);
    for block in 0_u64.. {
        if signs.len() >= dims {
            break;
        }
        let digest = Sha256::new().chain_update(word).chain_update(block.to_le_bytes()).finalize();
        signs.extend(digest.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)));
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^19 cells")]
    let cell = 1.0 / (dims as f32).sqrt();
    signs.into_iter().take(dims).map(|sign| if sign { cell } else { -cell }).collect()
}

fn tensor_of(tensor: &TensorType, word: &str) -> Result<Tensor> {
    let is_bits = tensor.cell() == CellType::Int8;
    let dims = if is_bits { tensor.size() * 8 } else { tensor.size() };
    let rows = Matrix::new(dims, vector_of(word, dims))?;
    Ok(match (is_bits, tensor.shape()) {
        (false, TensorShape::Multi) => Tensor::Vectors(rows),
        (false, TensorShape::Single) => Tensor::Vector(rows.cells().to_vec()),
        (true, TensorShape::Multi) => Tensor::BitRows(pack_rows(&rows)?),
        (true, TensorShape::Single) => Tensor::Bits(pack_rows(&rows)?.cells().to_vec()),
    })
}

/// Returns the query that finds the canary by a strategy.
fn query_of(schema: &TenantSchema, strategy: &RankProfile, canary: &Canary) -> Result<BackendQuery> {
    let query = BackendQuery::new(schema.clone(), strategy.name.clone()).with_text(&canary.word).with_page(0, HITS);
    let Some(input) = strategy.inputs.first() else { return Ok(query) };
    // The declared width of a float input; bits hold eight cells a byte.
    let scale = if input.tensor_type.cell() == CellType::Int8 { 8 } else { 1 };
    let dims = input.tensor_type.size() * scale;
    Ok(query.with_vectors(Matrix::new(dims, vector_of(&canary.word, dims))?))
}

fn tells(document: &Document, canary: &Canary) -> bool {
    document.fields.values().any(|value| match value {
        FieldValue::String(text) => text.contains(&canary.word),
        FieldValue::Strings(texts) => texts.iter().any(|text| text.contains(&canary.word)),
        _ => false,
    })
}

/// Says how many of the documents that were answered are the canary, or of another tenant's schema.
fn judged<'d>(
    name: impl Into<String>,
    attacker: &TenantSchema,
    answered: impl Iterator<Item = (&'d TenantSchema, &'d Document)>,
    canary: &Canary,
) -> Attack {
    let (mut all, mut stolen) = (0, 0);
    for (schema, document) in answered {
        all += 1;
        stolen += usize::from(schema != attacker || tells(document, canary));
    }
    Attack::of(name, stolen == 0, format!("{stolen} of {all} documents are the other tenant's"))
}

async fn search(
    backend: &dyn SearchBackend,
    planted: &TenantSchema,
    attacker: &TenantSchema,
    strategy: &RankProfile,
    canary: &Canary,
) -> Result<Attack> {
    let name = format!("search:{}", strategy.name);
    // A strategy without a score puts its matches in no order, so that only a filter finds one among many.
    let is_ranked = strategy.first_phase.expression.trim().parse::<f64>().is_err();
    match backend.search(query_of(planted, strategy, canary)?).await {
        Ok(own) if is_ranked && !own.hits.iter().any(|hit| tells(&hit.document, canary)) => {
            return Ok(Attack::failed(name, NOTHING));
        }
        Ok(_) => {}
        Err(error) => return Ok(Attack::failed(name, format!("the owner's search fails: {}", error.code().as_str()))),
    }
    Ok(match backend.search(query_of(attacker, strategy, canary)?).await {
        Ok(found) => judged(name, attacker, found.hits.iter().map(|hit| (&hit.schema, &hit.document)), canary),
        Err(error) => Attack::refused(name, &error, canary),
    })
}

async fn search_filtered(
    backend: &dyn SearchBackend,
    planted: &TenantSchema,
    attacker: &TenantSchema,
    strategy: &RankProfile,
    filter: &Filter,
    canary: &Canary,
) -> Result<Attack> {
    let own = query_of(planted, strategy, canary)?.with_filter(Some(filter.clone()));
    match backend.search(own).await {
        Ok(own) if own.hits.iter().any(|hit| tells(&hit.document, canary)) => {}
        Ok(_) => return Ok(Attack::failed("search:filter", NOTHING)),
        Err(error) => {
            return Ok(Attack::failed("search:filter", format!("the owner's search fails: {}", error.code().as_str())));
        }
    }
    let query = query_of(attacker, strategy, canary)?.with_filter(Some(filter.clone()));
    Ok(match backend.search(query).await {
        Ok(found) if found.matched > 0 && found.hits.is_empty() => {
            Attack::failed("search:filter", format!("{} documents match the canary's filter", found.matched))
        }
        Ok(found) => {
            judged("search:filter", attacker, found.hits.iter().map(|hit| (&hit.schema, &hit.document)), canary)
        }
        Err(error) => Attack::refused("search:filter", &error, canary),
    })
}

async fn get(backend: &dyn SearchBackend, attacker: &TenantSchema, canary: &Canary) -> Result<Attack> {
    Ok(match backend.get(GetRequest::new(attacker.clone(), Canary::ids(&canary.tenant)?)).await {
        Ok(found) => {
            let found = found.iter().flatten().count();
            Attack::of("get:id", found == 0, format!("{found} documents by the canary's ids"))
        }
        Err(error) => Attack::refused("get:id", &error, canary),
    })
}

async fn list_filtered(backend: &dyn SearchBackend, own: ListRequest, other: ListRequest, canary: &Canary) -> Attack {
    let name = "list:filter";
    match backend.list(own).await {
        Ok(own) if own.documents.len() != Canary::DOCUMENTS => return Attack::failed(name, NOTHING),
        Ok(_) => {}
        Err(error) => {
            return Attack::failed(name, format!("the owner's listing fails: {}", error.code().as_str()));
        }
    }
    let attacker = other.schema.clone();
    match backend.list(other).await {
        Ok(page) => {
            judged(name, &attacker, page.documents.iter().map(|found| (&found.schema, &found.document)), canary)
        }
        Err(error) => Attack::refused(name, &error, canary),
    }
}

async fn count_by_field(
    backend: &dyn SearchBackend,
    own: BackendQuery,
    other: BackendQuery,
    canary: &Canary,
) -> Attack {
    let name = "search:facet";
    let counted = |found: &BackendHits| -> u64 {
        let values = found.facets.iter().flat_map(|facet| &facet.values);
        let own = values.filter(|listed| listed.value.as_str().is_some_and(|text| text.contains(&canary.word)));
        own.map(|listed| listed.count).sum()
    };
    match backend.search(own).await {
        Ok(own) if counted(&own) == 0 => return Attack::failed(name, NOTHING),
        Ok(_) => {}
        Err(error) => {
            return Attack::failed(name, format!("the owner's search fails: {}", error.code().as_str()));
        }
    }
    match backend.search(other).await {
        Ok(found) => {
            let count = counted(&found);
            Attack::of(name, count == 0, format!("{count} documents are counted by the canary's word"))
        }
        Err(error) => Attack::refused(name, &error, canary),
    }
}

async fn visit_filtered(
    backend: &dyn SearchBackend,
    planted: &TenantSchema,
    attacker: &TenantSchema,
    filter: &Filter,
    canary: &Canary,
) -> Attack {
    let visit = |schema: &TenantSchema| VisitRequest::new(schema.clone()).with_filter(filter.clone());
    let found_by = async |request: VisitRequest| -> Result<Vec<OwnedDocument>> {
        let (mut documents, mut request) = (Vec::new(), request);
        loop {
            let page = backend.visit(request.clone()).await?;
            documents.extend(page.documents);
            match page.continuation {
                Some(next) if documents.len() <= HITS => request = request.with_continuation(Some(next)),
                _ => return Ok(documents),
            }
        }
    };
    match found_by(visit(planted)).await {
        Ok(own) if own.len() != Canary::DOCUMENTS => {
            return Attack::failed("visit:filter", NOTHING);
        }
        Ok(_) => {}
        Err(error) => {
            return Attack::failed("visit:filter", format!("the owner's visit fails: {}", error.code().as_str()));
        }
    }
    match found_by(visit(attacker)).await {
        Ok(found) => {
            judged("visit:filter", attacker, found.iter().map(|found| (&found.schema, &found.document)), canary)
        }
        Err(error) => Attack::refused("visit:filter", &error, canary),
    }
}

async fn count_filtered(
    backend: &dyn SearchBackend,
    planted: &TenantSchema,
    attacker: &TenantSchema,
    filter: &Filter,
    canary: &Canary,
) -> Attack {
    match backend.count(planted, Some(filter)).await {
        Ok(own) if own == Canary::DOCUMENTS as u64 => {}
        Ok(_) => return Attack::failed("count:filter", NOTHING),
        Err(error) => {
            return Attack::failed("count:filter", format!("the owner's count fails: {}", error.code().as_str()));
        }
    }
    match backend.count(attacker, Some(filter)).await {
        Ok(count) => Attack::of("count:filter", count == 0, format!("{count} documents match the canary's filter")),
        Err(error) => Attack::refused("count:filter", &error, canary),
    }
}

async fn visit(backend: &dyn SearchBackend, attacker: &TenantSchema, canary: &Canary) -> Attack {
    match backend.visit(VisitRequest::new(attacker.clone()).without_vectors()).await {
        Ok(page) => {
            judged("visit", attacker, page.documents.iter().map(|found| (&found.schema, &found.document)), canary)
        }
        Err(error) => Attack::refused("visit", &error, canary),
    }
}

/// Gives the attacker the place in the owner's documents at which the owner's next page begins.
async fn continuation(
    backend: &dyn SearchBackend,
    planted: &TenantSchema,
    attacker: &TenantSchema,
    canary: &Canary,
) -> Attack {
    const NAME: &str = "visit:continuation";
    let own = VisitRequest::new(planted.clone()).with_page_size(1).without_vectors();
    let next = match backend.visit(own).await {
        Ok(page) => page.continuation,
        Err(error) => return Attack::failed(NAME, format!("the owner's visit fails: {}", error.code().as_str())),
    };
    let Some(next) = next else {
        return Attack::failed(NAME, "the owner's visit has one page, so this shows nothing");
    };
    match backend.visit(VisitRequest::new(attacker.clone()).with_page_size(1).with_continuation(Some(next))).await {
        Ok(page) => {
            let count = page.documents.len();
            Attack::failed(NAME, format!("the other tenant's continuation is accepted, and answers {count} documents"))
        }
        Err(error) => Attack::refused(NAME, &error, canary),
    }
}

async fn update(
    backend: &dyn SearchBackend,
    field: Option<&FieldName>,
    attacker: &TenantSchema,
    canary: &Canary,
) -> Result<Attack> {
    let ids = Canary::ids(&canary.tenant)?;
    let clear = field.into_iter().cloned().collect::<Vec<_>>();
    let updates = ids.into_iter().map(|id| DocumentUpdate::assign(id, crate::document::Fields::new()));
    let updates = updates.map(|update| update.with_clear(clear.clone())).collect();
    Ok(match backend.update(UpdateRequest::new(attacker.clone(), updates)).await {
        Ok(report) => {
            let stored = report.stored();
            let told = report.failures().filter_map(|outcome| outcome.error.as_ref());
            match told.filter(|error| canary.is_told_by(&error.chain())).count() {
                0 => {
                    Attack::of("update:id", stored == 0, format!("{stored} documents were changed by the canary's ids"))
                }
                _ => Attack::failed("update:id", "refused by a text that tells of the other tenant"),
            }
        }
        Err(error) => Attack::refused("update:id", &error, canary),
    })
}

async fn delete(backend: &dyn SearchBackend, request: DeleteRequest, name: &str, canary: &Canary) -> Attack {
    match backend.delete(request).await {
        Ok(count) => Attack::of(name, count == 0, format!("{count} documents were removed")),
        Err(error) => Attack::refused(name, &error, canary),
    }
}

async fn listing(backend: &dyn SearchBackend, attacker: &TenantSchema, canary: &Canary) -> Attack {
    match backend.list_schemas(attacker.tenant()).await {
        Ok(listed) => {
            let others = listed.iter().filter(|listed| listed.schema.tenant() != attacker.tenant()).count();
            Attack::of("schemas", others == 0, format!("{others} of {} schemas are another tenant's", listed.len()))
        }
        Err(error) => Attack::refused("schemas", &error, canary),
    }
}

/// Looks whether the canary outlived the attempts to change and to remove it.
async fn unharmed(backend: &dyn SearchBackend, planted: &DeployedSchema, canary: &Canary) -> Result<Attack> {
    const NAME: &str = "unharmed";
    let request = GetRequest::new(planted.schema.clone(), Canary::ids(&canary.tenant)?).without_vectors();
    let plain = |document: &Document| {
        let mut fields = document.fields.clone();
        fields.retain(|_, value| !matches!(value, FieldValue::Tensor(_)));
        fields
    };
    Ok(match backend.get(request).await {
        Ok(found) => {
            let wanted = documents_of(planted, canary)?;
            let same = |(found, wanted): (&Option<OwnedDocument>, &Document)| {
                found.as_ref().is_some_and(|found| plain(&found.document) == plain(wanted))
            };
            let whole = found.iter().zip(&wanted).filter(|pair| same((pair.0, pair.1))).count();
            let evidence = format!("{whole} of {} canaries are as they were planted", Canary::DOCUMENTS);
            Attack::of(NAME, whole == Canary::DOCUMENTS, evidence)
        }
        Err(error) => Attack::failed(NAME, format!("the owner's canary cannot be read: {}", error.code().as_str())),
    })
}
