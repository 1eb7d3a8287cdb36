//! Whether a file looks as it did when it was ingested.

use super::fingerprint::hex;
use crate::{catalogue::Stamp, transcript::Beside};
use cogniverse_sdk::{Error, ErrorCode, Result};
use sha2::{Digest, Sha256};
use std::{
    fs::Metadata,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A file that changed less than this time ago may change again without looking different, as clocks of file systems are coarse.
const RACY: Duration = Duration::from_secs(2);

/// Returns how a video and the files beside it look; `None` where that cannot tell whether they change. Blocking.
///
/// # Errors
/// `Unavailable` where the file or its folder cannot be read.
pub(super) fn of(path: &Path, beside: &Beside, plan: &str) -> Result<Option<Stamp>> {
    let unreadable = |e: std::io::Error| {
        Error::of(ErrorCode::FileUnreadable, format!("the video {} cannot be read; check the file", path.display()))
            .with_source(e)
    };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    let (Some(changed), true) = (nanoseconds(&found), found.is_file()) else { return Ok(None) };
    let mut is_settled = settled(&found);
    let mut hasher = Sha256::new();
    for file in beside.belongings(path)? {
        // What is gone since the folder was read has been read by nobody.
        let Ok(found) = std::fs::metadata(&file) else { return Ok(None) };
        is_settled &= settled(&found);
        hasher.update(format!("{}\0{}\0{:?}\0", file.display(), found.len(), nanoseconds(&found)));
    }
    let file = (found.len(), changed, inode(&found));
    Ok(is_settled.then(|| Stamp { file, beside: hex(hasher), plan: plan.to_owned() }))
}

fn nanoseconds(found: &Metadata) -> Option<i128> {
    let changed = found.modified().ok()?;
    Some(match changed.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).ok()?,
        Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
    })
}

fn settled(found: &Metadata) -> bool {
    let age = found.modified().ok().and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > RACY)
}

#[cfg(unix)]
fn inode(found: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    found.ino()
}

#[cfg(not(unix))]
fn inode(_found: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_file_or_of_what_lies_beside_it_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str, age: u64| {
            std::fs::write(at(name), text).unwrap();
            let file = std::fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        let look = |plan: &str| of(&at("talk.mp4"), &Beside::default(), plan).unwrap();
        write("talk.mp4", "one", 100);
        let first = look("p");
        assert!(first.is_some() && first == look("p") && first != look("q"));
        write("talk.srt", "words", 100);
        let second = look("p");
        assert!(second.is_some() && second != first);
        write("talking.srt", "another video's", 100);
        assert_eq!(look("p"), second);
        write("talk.mp4", "two", 50);
        assert!(look("p").is_some() && look("p") != second, "same size, other time");
        write("talk.srt", "now", 0);
        assert_eq!(look("p"), None, "it may change again within the same tick");
        assert!(of(&at("none.mp4"), &Beside::default(), "p").is_err());
    }
}
