use super::*;
use crate::{
    index::{Decoded, Snapshot, bits::has_bit, bytes::U64s, postings::RUN, terms::FieldTerms},
    kernel::{GROUP, group_rows, grouped_row},
    layout::TensorField,
};
use cogniverse_sdk::{FieldName, FieldValue, Filter, TensorType, schema::FieldType};
use proptest::{collection::vec, option, prelude::*};
use std::{collections::BTreeMap, time::Instant};

fn name(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn layout() -> Arc<Layout> {
    let tensor = |of: &str, tensor: TensorType| TensorField { name: name(of), tensor };
    let attributes = [
        ("text", FieldType::String),
        ("integer", FieldType::Long),
        ("float", FieldType::Double),
        ("flag", FieldType::Bool),
        ("texts", FieldType::StringArray),
    ];
    Arc::new(Layout {
        languages: false,
        attributes: attributes.into_iter().map(|(of, kind)| (name(of), kind)).collect(),
        texts: vec![name("title"), name("body")],
        bits: vec![
            tensor("many", TensorType::parse("tensor<int8>(p{},v[3])").unwrap()),
            tensor("one", TensorType::parse("tensor<int8>(v[2])").unwrap()),
        ],
        floats: vec![tensor("floats", TensorType::parse("tensor<float>(p{},v[4])").unwrap())],
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]{1,2}", "\\PC{0,3}"]
}

fn terms() -> impl Strategy<Value = FieldTerms> {
    let counts = prop_oneof![8 => 1u32..4, 1 => any::<u32>()];
    let terms = vec((text(), counts), 0..4).prop_map(|terms| terms.into_iter().collect::<BTreeMap<_, _>>());
    // A term of nearly all documents has full runs.
    (any::<u32>(), terms, 0u8..20).prop_map(|(length, mut terms, common)| {
        if common > 0 {
            terms.insert("common".to_owned(), u32::from(common));
        }
        FieldTerms { length, counts: terms.into_iter().map(|(term, count)| (term.into_boxed_str(), count)).collect() }
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    let values = (
        option::of(text().prop_map(FieldValue::String)),
        option::of(prop_oneof![-2i64..3, any::<i64>()].prop_map(FieldValue::Integer)),
        option::of(prop_oneof![Just(-0.0), -1.0..1.0].prop_map(FieldValue::Float)),
        option::of(any::<bool>().prop_map(FieldValue::Bool)),
        option::of(vec(text(), 0..3).prop_map(FieldValue::Strings)),
    );
    values.prop_map(|(text, integer, float, flag, texts)| {
        let named = [("text", text), ("integer", integer), ("float", float), ("flag", flag), ("texts", texts)];
        named.into_iter().filter_map(|(of, value)| Some((name(of), value?))).collect()
    })
}

fn document() -> impl Strategy<Value = IndexedDocument> {
    let at = (any::<u32>(), any::<u64>(), 1u32.., any::<u32>());
    let at = at.prop_map(|(file, offset, bytes, sum)| CellsAt { file, offset, bytes, sum });
    let many = option::of((0usize..40).prop_flat_map(|rows| vec(any::<u8>(), rows * 3)));
    let bits = (many, option::of(vec(any::<u8>(), 2)));
    (fields(), vec(terms(), 2), bits, option::of(at), "\\PC{0,3}").prop_map(|(fields, terms, (many, one), at, id)| {
        let id = DocumentId::parse(format!("d{}", id.replace(char::is_whitespace, ""))).unwrap();
        let terms = DocumentTerms { fields: terms };
        IndexedDocument { row: 0, id, fields, terms, bits: vec![many, one], floats: vec![at] }
    })
}

/// Documents in ascending order of row. Few are drawn and repeated, as drawing is what takes the time.
fn documents() -> impl Strategy<Value = Vec<IndexedDocument>> {
    let lengths = prop::sample::select(vec![0, 1, 2, 31, 33, 64, 65, RUN - 1, RUN, RUN + 1, 2 * RUN, 300]);
    (vec(document(), 1..12), lengths).prop_map(|(drawn, length)| {
        let mut documents: Vec<_> = drawn.into_iter().cycle().take(length).collect();
        for (row, document) in (0..).zip(&mut documents) {
            document.row = row * 3 - 5;
        }
        documents
    })
}

fn set(flags: &[bool]) -> Places {
    Places::of(flags, |flag| *flag)
}

fn matching(block: &Block, filter: &Filter) -> Vec<usize> {
    block.columns().matching(filter, &|_| Ok(())).unwrap().iter().map(|place| place as usize).collect()
}

fn expect(documents: &[IndexedDocument], met: impl Fn(&IndexedDocument) -> bool) -> Vec<usize> {
    documents.iter().enumerate().filter(|(_, document)| met(document)).map(|(place, _)| place).collect()
}

fn check_attributes(block: &Block, documents: &[IndexedDocument]) {
    for of in ["text", "integer", "float", "flag"].map(name) {
        let mut seen = Vec::new();
        for value in documents.iter().filter_map(|document| document.fields.get(&of)).take(12) {
            seen.push(value.clone());
            let has = |document: &IndexedDocument| document.fields.get(&of) == Some(value);
            assert_eq!(matching(block, &Filter::Equals(of.clone(), value.clone())), expect(documents, has));
        }
        let among = |document: &IndexedDocument| document.fields.get(&of).is_some_and(|value| seen.contains(value));
        let filter = Filter::In(of.clone(), seen.clone());
        assert_eq!(matching(block, &filter), expect(documents, among));
        assert_eq!(matching(block, &Filter::Not(Box::new(filter))), expect(documents, |document| !among(document)));
    }
    let between = Filter::between(name("integer"), -1, 2);
    let inside = |value: Option<&FieldValue>| value.and_then(FieldValue::as_i64).is_some_and(|n| (-1..2).contains(&n));
    assert_eq!(matching(block, &between), expect(documents, |d| inside(d.fields.get(&name("integer")))));
    let between = Filter::between(name("float"), -0.5, 0.5);
    let inside =
        |value: Option<&FieldValue>| value.and_then(FieldValue::as_f64).is_some_and(|n| (-0.5..0.5).contains(&n));
    assert_eq!(matching(block, &between), expect(documents, |d| inside(d.fields.get(&name("float")))));
    for wanted in ["a", "", "none"] {
        let has = |document: &IndexedDocument| match document.fields.get(&name("texts")) {
            Some(FieldValue::Strings(texts)) => texts.iter().any(|text| text == wanted),
            _ => false,
        };
        assert_eq!(matching(block, &Filter::equals(name("texts"), wanted)), expect(documents, has));
    }
}

fn check_terms(block: &Block, documents: &[IndexedDocument], range: Range<u32>) {
    for field in 0..2 {
        let index = block.text(field).unwrap();
        let lengths: Vec<u32> = documents.iter().map(|document| document.terms.fields[field].length).collect();
        assert_eq!(index.lengths().iter().collect::<Vec<_>>(), lengths);
        let mut wanted = BTreeMap::<&str, Vec<(u32, u32)>>::new();
        for (place, document) in (0..).zip(documents) {
            for (term, count) in &document.terms.fields[field].counts {
                wanted.entry(term).or_default().push((place, *count));
            }
        }
        assert!(index.find("no such term").is_none());
        for (term, wanted) in wanted {
            let postings = index.find(term).unwrap();
            assert_eq!(postings.len(), wanted.len());
            let mut found = Vec::new();
            postings.for_each_place(|place| found.push(place));
            assert_eq!(found, wanted.iter().map(|(place, _)| *place).collect::<Vec<_>>());
            for range in [0..u32::MAX, range.clone(), 0..0] {
                let mut found = Vec::new();
                postings.for_each_in(range.clone(), |place, count| found.push((place, count)));
                let wanted = wanted.iter().filter(|(place, _)| range.contains(place)).copied().collect::<Vec<_>>();
                assert!(postings.len_in(&range) >= found.len());
                assert_eq!(found, wanted);
            }
            let mut decoded = Decoded::default();
            for (run, wanted) in wanted.chunks(RUN).enumerate() {
                postings.decode(run, false, &mut decoded);
                assert_eq!(decoded.places(), wanted.iter().map(|(place, _)| *place).collect::<Vec<_>>());
                postings.decode(run, true, &mut decoded);
                assert_eq!(decoded.counts(), wanted.iter().map(|(_, count)| *count).collect::<Vec<_>>());
                assert!(postings.last_place(run) >= wanted.last().unwrap().0);
            }
            assert_eq!(postings.run_count(), wanted.len().div_ceil(RUN));
            let runs: Vec<_> = postings.runs().map(|run| (run.last, run.greatest, run.least_length)).collect();
            let summary = |run: &[(u32, u32)]| {
                let greatest = run.iter().map(|(_, count)| *count).max().unwrap();
                (run[RUN - 1].0, greatest, run.iter().map(|(place, _)| lengths[*place as usize]).min().unwrap())
            };
            assert_eq!(runs, wanted.chunks_exact(RUN).map(summary).collect::<Vec<_>>());
        }
    }
}

fn check_tensors(block: &Block, documents: &[IndexedDocument]) {
    let (many, one) = (block.bits(0).unwrap(), block.bits(1).unwrap());
    assert!(!many.is_single() && one.is_single());
    for (place, document) in documents.iter().enumerate() {
        let mut groups = Vec::new();
        group_rows(document.bits[0].as_deref().unwrap_or_default(), 3, &mut groups);
        assert_eq!(many.get(place), groups);
        assert_eq!(many.has(place), !groups.is_empty());
        assert_eq!(one.has(place), document.bits[1].is_some());
        let row: Vec<u8> = grouped_row(one.group(place), place % GROUP).collect();
        assert_eq!(row, document.bits[1].clone().unwrap_or(vec![0, 0]));
        assert_eq!(block.cells_at(0, place), document.floats[0]);
        assert_eq!(block.cells_at(0, place).is_some(), document.floats[0].is_some());
    }
    let beyond = documents.len();
    assert!(many.get(beyond).is_empty() && !one.has(beyond) && block.cells_at(0, beyond).is_none());
    assert!(block.cells_at(1, 0).is_none() && block.bits(2).is_none() && block.text(2).is_none());
}

/// Asks a block for everything, whatever the answer.
fn touch(block: &Block) {
    for place in 0..block.len() {
        let _ = (block.row(place), block.id(place), block.cells_at(0, place));
    }
    let _ = (block.bits(0).map(|bits| bits.get(0).len()), block.bits(1).map(|bits| bits.group(0).len()));
    let _ = block.columns().matching(&Filter::equals(name("texts"), "a"), &|_| Ok(()));
    for index in (0..2).filter_map(|field| block.text(field)) {
        let (_, mut decoded) = (index.is_whole(), Decoded::default());
        for postings in ["common", "a", "b"].into_iter().filter_map(|term| index.find(term)) {
            for run in 0..postings.run_count() {
                for wants_counts in [false, true] {
                    postings.decode(run, wants_counts, &mut decoded);
                    let _ = (decoded.places().len(), decoded.counts().len(), postings.last_place(run));
                }
            }
            postings.for_each_in(3..200, |_, _| {});
        }
    }
}

fn reopen(block: &Block) -> Block {
    let opened = Block::open(block.bytes().clone(), &layout()).unwrap();
    assert!((0..2).all(|field| opened.text(field).unwrap().is_whole()));
    opened
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_block_answers_as_its_documents_say(documents in documents(), range in (0u32..320, 0u32..320)) {
        let block = reopen(&Block::build(&layout(), &documents));
        prop_assert_eq!(block.len(), documents.len());
        for (place, document) in documents.iter().enumerate() {
            prop_assert_eq!(block.row(place), Some(document.row));
            prop_assert_eq!(block.rows().find(document.row), Some(place));
            prop_assert_eq!(block.id(place), Some(document.id.as_str().as_bytes()));

        }
        prop_assert_eq!((block.row(documents.len()), block.id(documents.len())), (None, None));
        check_attributes(&block, &documents);
        check_terms(&block, &documents, range.0..range.1);
        check_tensors(&block, &documents);
    }

    #[test]
    fn a_merge_is_a_build_of_the_living(parts in vec((documents(), vec(0u8..8, 300), 0u8..3), 1..4)) {
        let mut built = Vec::new();
        let mut living = Vec::new();
        let mut before = 0;
        for (mut documents, draws, kind) in parts {
            documents.iter_mut().for_each(|document| document.row += before);
            before += 10_000;
            let block = Block::build(&layout(), &documents);
            // All are living, most, or none.
            let live: Vec<bool> = draws[..documents.len()].iter().map(|draw| kind == 0 || kind == 1 && *draw > 0).collect();
            living.extend(documents.into_iter().zip(&live).filter(|(_, live)| **live).map(|(document, _)| document));
            built.push((block, if kind == 0 { Places::all(live.len()) } else { set(&live) }));
        }
        let parts: Vec<_> = built.iter().map(|(block, live)| (block, live)).collect();
        let (merged, anew) = (Block::merge(&layout(), &parts), Block::build(&layout(), &living));
        prop_assert_eq!(merged.bytes().get(), anew.bytes().get());
        reopen(&merged);
    }

    /// Bytes whose checksum is right although their content is not cannot make an access go wrong either.
    #[test]
    fn damaged_bytes_are_refused(documents in documents(), at in any::<prop::sample::Index>(), bit in 0u32..8, resum in any::<bool>()) {
        let block = Block::build(&layout(), &documents);
        let mut bytes = block.bytes().get().to_vec();
        let at = at.index(bytes.len());
        prop_assert!(Block::open(BlockBytes::new(bytes[..at].to_vec()), &layout()).is_none());
        bytes[at] ^= 1 << bit;
        if resum {
            crate::index::format::resum(&mut bytes);
        }
        if let Some(opened) = Block::open(BlockBytes::new(bytes.clone()), &layout()) {
            prop_assert!(resum);
            touch(&opened);
            touch(&Block::merge(&layout(), &[(&opened, &Places::all(opened.len()))]));
        }
        // Not verified at all, as a file that is damaged once it is open: no access goes wrong.
        let unverified = Block::new(&layout(), BlockBytes::new(bytes), block.sections.clone(), block.len);
        touch(&unverified);
        touch(&Block::merge(&layout(), &[(&unverified, &Places::all(block.len))]));
    }
}

#[test]
fn a_block_of_another_layout_is_refused() {
    let block = Block::build(&layout(), &[]);
    let mut other = (*layout()).clone();
    other.attributes[0].1 = FieldType::StringArray;
    assert!(Block::open(block.bytes().clone(), &Arc::new(other)).is_none());
    let mut longer = block.bytes().get().to_vec();
    longer.extend([0; 64]);
    assert!(Block::open(BlockBytes::new(longer), &layout()).is_none());
}

#[test]
fn a_bitmap_ends_with_its_flags() {
    for len in [0_usize, 1, 63, 64, 65, 128, 130] {
        let words: Vec<u8> = crate::index::bits::bitmap((0..len).map(|n| n % 3 == 0)).flatten().collect();
        let bitmap = U64s::new(&words);
        assert_eq!(bitmap.len(), len.div_ceil(64));
        assert!((0..len + 70).all(|n| has_bit(bitmap, n) == (n < len && n % 3 == 0)));
    }
}

/// Prints the times of building and merging: 8,192 documents of 60 words, out of 20,000 with a usual distribution.
#[test]
#[ignore = "a measurement"]
fn times_of_building_and_merging() {
    let layout = layout();
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut documents = |first: i64, count: i64| -> Vec<IndexedDocument> {
        let mut words = || {
            let mut counts = BTreeMap::<Box<str>, u32>::new();
            (0..60).for_each(|_| {
                *counts.entry(format!("word{}", (20_000_f64.powf(random())) as u32).into()).or_default() += 1
            });
            FieldTerms { length: 60, counts: counts.into_iter().collect() }
        };
        let mut document = |row: i64| IndexedDocument {
            row,
            id: DocumentId::parse(format!("video{}_{row}", row / 100)).unwrap(),
            fields: [
                (name("text"), FieldValue::String(format!("video{}", row / 100))),
                (name("float"), FieldValue::Float(row as f64)),
            ]
            .into(),
            terms: DocumentTerms { fields: vec![words(), FieldTerms::default()] },
            bits: vec![None, Some(vec![7, 9])],
            floats: vec![Some(CellsAt { file: 0, offset: 0, bytes: 1, sum: 0 })],
        };
        (first..first + count).map(&mut document).collect()
    };
    let (first, second) = (documents(0, 8192), documents(8192, 8192));
    for _ in 0..3 {
        let started = Instant::now();
        let a = Block::build(&layout, &first);
        let built = started.elapsed();
        let b = Block::build(&layout, &second);
        let whole = Places::all(8192);
        let started = Instant::now();
        let merged = Block::merge(&layout, &[(&a, &whole), (&b, &whole)]);
        let merge = started.elapsed();
        let started = Instant::now();
        assert!(Block::open(merged.bytes().clone(), &layout).is_some());
        println!(
            "build {built:?}, merge {merge:?}, open {:?}, {} KiB",
            started.elapsed(),
            merged.bytes().get().len() >> 10
        );
        let started = Instant::now();
        let mut snapshot = Snapshot::empty(Arc::clone(&layout));
        for batch in first.chunks(100) {
            snapshot = snapshot.next(&[], batch.to_vec());
        }
        println!("8,192 documents fed by 100: {:?}", started.elapsed());
    }
}
