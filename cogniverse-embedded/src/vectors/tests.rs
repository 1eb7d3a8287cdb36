use super::*;
use crate::{config::Durability, index::CellsAt};
use std::fs;

const STORE: &str = "00112233445566778899aabbccddeeff";

fn sum(cells: &[u8]) -> u32 {
    crc32fast::hash(cells)
}

fn appender(folder: &Path, last: Option<Tail>) -> Appender {
    Appender::new(folder, STORE, Durability::PowerLoss, last, last.map_or(0, |(number, _)| number))
}

fn append(appender: &mut Appender, cells: &[u8]) -> CellsAt {
    appender.append(cells, sum(cells)).unwrap()
}

fn lengths(changes: &std::collections::BTreeMap<u32, FileChange>) -> Vec<(u32, u64)> {
    changes.iter().filter_map(|(number, change)| Some((*number, change.length?))).collect()
}

#[test]
fn what_is_appended_is_read_in_place_and_what_was_not_committed_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = appender(folder.path(), None);
    let one = append(&mut first, &[1; 100]);
    let two = append(&mut first, &[2; 7]);
    assert_eq!((one.file, one.offset, two.offset), (1, 64, 192));
    assert_eq!(first.read(one).unwrap(), Some(vec![1; 100]), "before it is committed");
    let committed = lengths(&first.finish().unwrap());
    assert_eq!(committed, [(1, 199)]);
    let files = VectorFiles::default().at(folder.path(), STORE, &committed).unwrap();
    // A write that was not committed, then one that was.
    let mut lost = appender(folder.path(), Some(committed[0]));
    append(&mut lost, &[9; 5000]);
    drop(lost.finish().unwrap());
    let mut next = appender(folder.path(), Some(committed[0]));
    let three = append(&mut next, &[3; 300]);
    assert_eq!(three.offset, 256);
    let longer = files.at(folder.path(), STORE, &lengths(&next.finish().unwrap())).unwrap();
    assert_eq!(longer.cells(three, sum), Some(&[3; 300][..]));
    for files in [&files, &longer] {
        assert_eq!(files.cells(one, sum), Some(&[1; 100][..]));
        assert_eq!(files.cells(two, sum), Some(&[2; 7][..]));
    }
    assert_eq!(files.cells(three, sum), None, "beyond the length that it knows");
    // What was verified once is not verified again.
    assert!(longer.cells(two, |_| 0).is_some());
    for wrong in [CellsAt { offset: 65, ..one }, CellsAt { file: 2, ..one }, CellsAt { offset: u64::MAX - 63, ..one }] {
        assert_eq!(files.cells(wrong, sum), None, "{wrong:?}");
    }
}

#[test]
fn large_appends_fill_files_and_no_vector_is_in_two() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = appender(folder.path(), None);
    let cells = vec![5; 9 << 20];
    let places: Vec<CellsAt> = (0..9).map(|_| append(&mut writer, &cells)).collect();
    writer.forget(places[0]);
    assert_eq!((writer.forgotten(1), places[7].file, places[8].file), (0, 1, 2));
    let changes = writer.finish().unwrap();
    assert_eq!((changes[&1].vectors, changes[&2].vectors, changes[&1].dead), (7, 1, 9 << 20));
    let files = VectorFiles::default().at(folder.path(), STORE, &lengths(&changes)).unwrap();
    assert!(places.iter().all(|at| files.cells(*at, sum) == Some(&cells[..])));
    // A file that is to be emptied gets nothing more.
    let mut next = appender(folder.path(), Some((2, changes[&2].length.unwrap())));
    next.leave(2).unwrap();
    assert_eq!(append(&mut next, &[1]).file, 3);
}

#[test]
fn a_file_that_is_not_as_it_was_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = appender(folder.path(), None);
    let at = append(&mut writer, &[1; 100]);
    let committed = lengths(&writer.finish().unwrap());
    let open = |store: &str| VectorFiles::default().at(folder.path(), store, &committed);
    let code = |result: cogniverse_sdk::Result<VectorFiles>| result.unwrap_err().to_string();
    assert!(code(open("another")).contains("not this store's"));
    let path = path(folder.path(), 1);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 4;
    fs::write(&path, &flipped).unwrap();
    assert_eq!(open(STORE).unwrap().cells(at, sum), None);
    fs::write(&path, &whole[..150]).unwrap();
    assert!(code(open(STORE)).contains("150 bytes and 164 were written"));
    let mut cut = appender(folder.path(), Some(committed[0]));
    append(&mut cut, &[1; 8]);
    assert!(cut.finish().unwrap_err().to_string().contains("shorter than it was"), "nothing is stored behind a gap");
    fs::remove_file(&path).unwrap();
    assert!(code(open(STORE)).contains("missing"));
    let mut gone = appender(folder.path(), Some(committed[0]));
    append(&mut gone, &[1; 8]);
    assert!(gone.finish().is_err() && !path.exists(), "nothing is stored in a file that is gone");
}
