//! A schema as a base schema of the engine: its fields, and each phase that the engine understands as a strategy of its own.

use super::{
    engine::Phase,
    global_phase,
    sd::{Field, Input, RankProfile, Schema},
    tensor::{Tensor, TensorType},
    value::{Fields, Value},
};
use cogniverse_core::{schemas, text::LANGUAGE_FIELD};
use cogniverse_sdk::{
    BaseSchema, CellType, Document, DocumentId, FieldValue, Matrix, Result, SchemaName, StrategyName, TensorShape,
    schema::FieldType,
};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, sync::Arc};

/// What the engine knows of a schema.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) definition: Arc<BaseSchema>,
    pub(super) strategies: BTreeMap<(String, Phase), KnownStrategy>,
}

/// A phase as a strategy.
#[derive(Debug)]
pub(super) struct KnownStrategy {
    pub(super) name: StrategyName,
    pub(super) float: bool,
    pub(super) binary: bool,
    /// The inputs that the expression names.
    pub(super) inputs: Vec<String>,
    /// The fields whose closeness it takes.
    pub(super) near: Vec<String>,
}

/// Turns a schema back into one of ours, as far as that goes.
pub(super) fn of(schema: &Schema, name: &SchemaName) -> Result<Known> {
    let fields: Vec<Json> = schema.fields.iter().filter(|field| !field.derived).filter_map(field).collect();
    let base = |profiles: &[Json]| {
        let base = json!({"name": name.as_str(), "document": {"fields": fields}, "rank_profiles": profiles});
        let base: BaseSchema = serde_json::from_value(base)
            .map_err(|e| cogniverse_sdk::Error::invalid("the engine has no such field").with_source(e))?;
        schemas::Schema::compile(Arc::new(base))
    };
    let (mut accepted, mut strategies) = (Vec::new(), BTreeMap::new());
    for profile in &schema.profiles {
        let phases = [(Phase::First, &profile.first_phase), (Phase::Second, &profile.second_phase)];
        let phases = phases.into_iter().filter_map(|(phase, expression)| Some((phase, expression.clone()?)));
        let signals = profile.global_phase.iter().flat_map(|expression| global_phase::normalizers(expression));
        let signals = signals.enumerate().map(|(place, found)| (Phase::Signal(place), found.signal.to_owned()));
        for (phase, expression) in phases.chain(signals) {
            let expression = expression.as_str();
            let name = format!("p{}", accepted.len());
            let (json, inputs, near) = strategy(&name, profile, expression);
            // An expression that the engine does not know is scored elsewhere.
            let Ok(compiled) = base(std::slice::from_ref(&json)) else { continue };
            let name = StrategyName::parse(&name)
                .map_err(|e| cogniverse_sdk::Error::unexpected("no strategy's name").with_source(e))?;
            let wanted = compiled.strategy(&name)?.inputs();
            let (float, binary) = (wanted.float.is_some(), wanted.binary.is_some());
            strategies.insert((profile.name.clone(), phase), KnownStrategy { name, float, binary, inputs, near });
            accepted.push(json);
        }
    }
    Ok(Known { definition: Arc::clone(base(&accepted)?.base()), strategies })
}

fn field(field: &Field) -> Option<Json> {
    // The engine analyzes texts by a field of this name; this one's schema does not.
    if field.name == LANGUAGE_FIELD && !field.script.contains("set_language") {
        return None;
    }
    let data_type = match field.data_type.tensor() {
        Some(tensor) => tensor.to_string(),
        None => field.data_type.to_string().replace("Array<", "array<"),
    };
    FieldType::try_from(data_type.clone()).ok()?;
    let tensor = field.data_type.tensor().is_some();
    let text = field.is_text() && data_type == "string";
    let mut indexing = vec!["attribute"];
    if text {
        indexing.push("index");
    }
    let mut json = json!({"name": field.name, "type": data_type, "indexing": indexing});
    let members = json.as_object_mut()?;
    if let Some(metric) = field.distance_metric.as_ref().filter(|_| tensor) {
        members.insert("attribute".to_owned(), json!([format!("distance-metric: {metric}")]));
    }
    if text && field.bm25 {
        members.insert("index".to_owned(), json!("enable-bm25"));
    }
    Some(json)
}

fn strategy(name: &str, profile: &RankProfile, expression: &str) -> (Json, Vec<String>, Vec<String>) {
    let functions = profile.called(expression);
    let text = functions.values().fold(expression.to_owned(), |text, body| format!("{text} {body}"));
    let tensors = profile.inputs.iter().filter_map(|(name, input)| match input {
        Input::Tensor(tensor) => Some((name, tensor)),
        Input::Number => None,
    });
    let known = tensors.filter(|(_, tensor)| cogniverse_sdk::TensorType::parse(&tensor.to_string()).is_ok());
    let inputs: Vec<(&String, &TensorType)> = known.collect();
    let declared =
        inputs.iter().map(|(name, tensor)| json!({"name": format!("query({name})"), "type": tensor.to_string()}));
    // `f()` and `f` are the same to Vespa, and only the second is known to the engine.
    let plain =
        |text: &str| functions.keys().fold(text.to_owned(), |text, name| text.replace(&format!("{name}()"), name));
    let bodies = functions.iter().map(|(name, body)| json!({"name": name, "expression": plain(body)}));
    let json = json!({
        "name": name, "inputs": declared.collect::<Vec<_>>(), "functions": bodies.collect::<Vec<_>>(),
        "first_phase": {"expression": plain(expression)},
    });
    let named =
        inputs.iter().filter(|(name, _)| text.contains(&format!("query({name})"))).map(|(name, _)| (*name).clone());
    let near = text.split("closeness(").skip(1).filter_map(|rest| rest.split(')').next()?.split(',').nth(1));
    (json, named.collect(), near.map(|field| field.trim().to_owned()).collect())
}

/// A document for the engine: what it would refuse, such as NaN, is left out.
pub(super) fn document(id: DocumentId, fields: &Fields, definition: &BaseSchema) -> Document {
    let mut document = Document::new(id);
    for field in &definition.document.fields {
        let Some(value) = fields.get(field.name.as_str()) else { continue };
        if let Some(value) = field_value(value, &field.field_type) {
            document.fields.insert(field.name.clone(), value);
        }
    }
    document
}

fn field_value(value: &Value, field_type: &FieldType) -> Option<FieldValue> {
    Some(match (value, field_type) {
        (Value::Text(text), FieldType::String) => FieldValue::String(text.clone()),
        (Value::Integer(number), FieldType::Int | FieldType::Long) => FieldValue::Integer(*number),
        (Value::Real(number), FieldType::Float | FieldType::Double) if number.is_finite() => FieldValue::Float(*number),
        (Value::Bool(value), FieldType::Bool) => FieldValue::Bool(*value),
        (Value::List(items), FieldType::StringArray) => {
            let text = |item: &Value| if let Value::Text(text) = item { Some(text.clone()) } else { None };
            FieldValue::Strings(items.iter().filter_map(text).collect())
        }
        (Value::Tensor(tensor), FieldType::Tensor(tensor_type)) => {
            let tensor = engine_tensor(tensor, tensor_type)?;
            tensor.check(tensor_type).ok()?;
            FieldValue::Tensor(tensor)
        }
        _ => return None,
    })
}

fn engine_tensor(tensor: &Tensor, tensor_type: &cogniverse_sdk::TensorType) -> Option<cogniverse_sdk::Tensor> {
    let bits = tensor_type.cell() == CellType::Int8;
    let bytes = || tensor.blocks.values().flatten().map(|cell| (*cell as i8).cast_unsigned()).collect::<Vec<u8>>();
    let floats = || tensor.blocks.values().flatten().map(|cell| *cell as f32).collect::<Vec<f32>>();
    Some(match (bits, tensor_type.shape()) {
        (true, TensorShape::Single) => cogniverse_sdk::Tensor::Bits(bytes()),
        (true, TensorShape::Multi) => cogniverse_sdk::Tensor::BitRows(Matrix::new(tensor_type.size(), bytes()).ok()?),
        (false, TensorShape::Single) => cogniverse_sdk::Tensor::Vector(floats()),
        (false, TensorShape::Multi) => cogniverse_sdk::Tensor::Vectors(Matrix::new(tensor_type.size(), floats()).ok()?),
    })
}
