use super::{Judge, Package, queries::hostile_texts};
use crate::document_json::{put_body, update_body};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{
    Document, FieldValue, Matrix, Tensor,
    contract::fixture,
    document_store::DocumentUpdate,
    quantize::{from_bf16, to_bf16},
};
use serde_json::{Value, json};
use std::sync::Arc;

const TYPE: &str = "contract_video_acme";

fn line(operation: &str, user: &str, body: &[u8]) -> String {
    let mut line: Value = serde_json::from_slice(body).unwrap();
    line[operation] = json!(format!("id:cogniverse:{TYPE}::{user}"));
    line.to_string()
}

/// The cells of a tensor's text, its rows in the order of their labels' numbers.
fn numbers(tensor: &str) -> Vec<f32> {
    let cells = tensor.split_once("):").unwrap().1;
    let cells = cells.trim_start_matches('{').trim_end_matches('}');
    let mut rows: Vec<(u32, Vec<f32>)> = Vec::new();
    if !cells.contains('[') {
        // Rows of one cell stand without brackets.
        let cells = cells.split(',').map(|cell| cell.trim().split_once(':').unwrap());
        rows = cells.map(|(label, cell)| (label.parse().unwrap(), vec![cell.parse().unwrap()])).collect();
    }
    for part in cells.split(']').filter(|part| part.contains('[')) {
        let (label, row) = part.split_once('[').unwrap();
        let label = label.trim_matches([',', ' ', ':']);
        let row = row.split(',').map(|cell| cell.trim().parse().unwrap()).collect();
        rows.push((if label.is_empty() { 0 } else { label.parse().unwrap() }, row));
    }
    rows.sort_by_key(|(label, _)| *label);
    rows.into_iter().flat_map(|(_, row)| row).collect()
}

/// Bits of every kind of number come back from Vespa's feed parser as they were.
#[test]
fn every_tensor_comes_back_bit_exact() {
    let Some(judge) = Judge::find() else { return };
    let schema = Schema::compile(fixture::schema()).unwrap();
    fastrand::seed(8);
    let mut documents = Vec::new();
    for number in 0..60 {
        let rows = fastrand::usize(1..40);
        // Any finite bits, subnormal numbers, zeros of both signs and the largest among them.
        let cell = || loop {
            let value = from_bf16(fastrand::u16(..));
            if value.is_finite() {
                return value;
            }
        };
        let floats: Vec<f32> = std::iter::repeat_with(cell).take(rows * 8).collect();
        let bits: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(rows).collect();
        documents.push(
            Document::new(fixture::id(&number.to_string()))
                .with(fixture::field("embedding"), Tensor::Vectors(Matrix::new(8, floats).unwrap()))
                .with(fixture::field("embedding_binary"), Tensor::BitRows(Matrix::new(1, bits).unwrap())),
        );
    }
    let lines: Vec<String> = documents
        .iter()
        .map(|document| line("put", document.id.as_str(), &put_body(&schema, &document.fields)))
        .collect();
    let package = Package::with(&[("acme", &fixture::schema())]).written();
    let answers = judge.run(&["documents", package.path().to_str().unwrap()], &lines.join("\n"));
    assert_eq!(answers.len(), documents.len());
    for (answer, document) in answers.iter().zip(&documents) {
        let text = |field: &str| answer["fields"][field].as_str().unwrap_or_else(|| panic!("{answer}"));
        let FieldValue::Tensor(Tensor::Vectors(rows)) = &document.fields[&fixture::field("embedding")] else {
            panic!()
        };
        let read = numbers(text("embedding"));
        assert_eq!(read.len(), rows.cells().len());
        for (read, sent) in read.iter().zip(rows.cells()) {
            assert_eq!(to_bf16(*read), to_bf16(*sent), "{}", text("embedding"));
        }
        let FieldValue::Tensor(Tensor::BitRows(bits)) = &document.fields[&fixture::field("embedding_binary")] else {
            panic!()
        };
        let read: Vec<u8> =
            numbers(text("embedding_binary")).iter().map(|cell| (*cell as i8).cast_unsigned()).collect();
        assert_eq!(read, bits.cells(), "{}", text("embedding_binary"));
    }
}

/// Floats of 32 bits too: the field of a single vector.
#[test]
fn single_vectors_come_back_bit_exact() {
    let Some(judge) = Judge::find() else { return };
    let mut base = (*fixture::schema()).clone();
    let field = base.document.fields.iter_mut().find(|field| field.name.as_str() == "embedding").unwrap();
    field.field_type =
        cogniverse_sdk::schema::FieldType::Tensor(cogniverse_sdk::TensorType::parse("tensor<float>(v[8])").unwrap());
    base.rank_profiles.truncate(1);
    let base = Arc::new(base);
    let schema = Schema::compile(Arc::clone(&base)).unwrap();
    fastrand::seed(9);
    let cells: Vec<f32> =
        std::iter::repeat_with(|| f32::from_bits(fastrand::u32(..))).filter(|cell| cell.is_finite()).take(8).collect();
    let document = Document::new(fixture::id("1")).with(fixture::field("embedding"), Tensor::Vector(cells.clone()));
    let package = Package::with(&[("acme", &base)]).written();
    let answers = judge
        .run(&["documents", package.path().to_str().unwrap()], &line("put", "1", &put_body(&schema, &document.fields)));
    let read = numbers(answers[0]["fields"]["embedding"].as_str().unwrap_or_else(|| panic!("{}", answers[0])));
    let bits = |cells: &[f32]| cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&cells));
}

/// Texts, lists, numbers, updates and removals are what they were, whatever stands in them.
#[test]
fn every_operation_passes_vespas_feed_parser() {
    let Some(judge) = Judge::find() else { return };
    let schema = Schema::compile(fixture::schema()).unwrap();
    let texts: Vec<String> = hostile_texts().into_iter().filter(|text| !text.contains('\u{7f}')).collect();
    let mut lines = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let document = fixture::document("v", 1, text, fixture::axis(1))
            .with(fixture::field("tags"), FieldValue::Strings(vec![text.clone(), "b".into()]))
            .with(fixture::field("start_time"), 0.1 + number as f64);
        lines.push(line("put", &format!("{number}/{text}"), &put_body(&schema, &document.fields)));
    }
    let update = DocumentUpdate::assign(fixture::id("1"), fixture::document("v", 2, "new", fixture::axis(2)).fields)
        .with_clear(vec![fixture::field("tags")]);
    lines.push(line("update", "1", &update_body(&schema, &update)));
    lines.push(line("remove", "1", b"{}"));
    let package = Package::with(&[("acme", &fixture::schema())]).written();
    let answers = judge.run(&["documents", package.path().to_str().unwrap()], &lines.join("\n"));
    assert_eq!(answers.len(), lines.len());
    for ((number, text), answer) in texts.iter().enumerate().zip(&answers) {
        assert_eq!(answer["fields"]["audio_transcript"].as_str(), Some(text.as_str()), "{answer}");
        assert_eq!(answer["id"], json!(format!("id:cogniverse:{TYPE}::{number}/{text}")));
        let start: f64 = answer["fields"]["start_time"].as_str().unwrap().parse().unwrap();
        assert_eq!(start, 0.1 + number as f64);
    }
    let [.., update, remove] = answers.as_slice() else { panic!() };
    assert_eq!((&update["operation"], &update["create"]), (&json!("update"), &json!(false)), "{update}");
    assert_eq!(remove["operation"], json!("remove"), "{remove}");
}
