//! Bounded reads of untrusted files: regular files only, up to a size, within a folder.

use cogniverse_sdk::{Error, ErrorCode, Result};
use std::{
    fs::{File, OpenOptions},
    io::Read,
    path::{Path, PathBuf},
};

/// Opens a regular file and returns its size in bytes. A pipe or a device is refused without blocking; the opened
/// file is checked, not the path, so that the path cannot be swapped in between. Blocking.
///
/// # Errors
/// `Unavailable` where the file cannot be opened, `InvalidInput` where it is not a regular file.
pub(crate) fn open_regular(what: &str, path: &Path) -> Result<(File, u64)> {
    let unreadable = |e: std::io::Error| {
        Error::of(ErrorCode::FileUnreadable, format!("{what} {} cannot be read; check the file", path.display()))
            .with_source(e)
    };
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe nobody writes to would hold the thread for ever; regular files do not know the flag.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(Error::invalid(format!(
            "{what} {} is not a regular file; give a file, no folder, pipe or device",
            path.display()
        )));
    }
    Ok((file, found.len()))
}

/// Reads a regular file of at most `most` bytes, even if it grows meanwhile. Blocking.
///
/// # Errors
/// Those of [`open_regular`]; `InvalidInput` that names the bound for a larger file.
pub(crate) fn read_bounded(what: &str, path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, size) = open_regular(what, path)?;
    let mut bytes = Vec::new();
    if size <= most {
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| {
            Error::of(ErrorCode::FileUnreadable, format!("{what} {} cannot be read on; check the file", path.display()))
                .with_source(e)
        })?;
    }
    let size = size.max(bytes.len() as u64);
    if size > most {
        return Err(Error::invalid(format!(
            "{what} {} has {size} bytes; at most {most} are read; make it smaller",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Resolves the path of a file found in `folder`, which must lie within that folder. Blocking.
///
/// # Errors
/// `Unavailable` where the path cannot be resolved, `InvalidInput` for a link that leads out of the folder.
pub(crate) fn inside(what: &str, path: &Path, folder: &Path) -> Result<PathBuf> {
    let real = |path: &Path| {
        path.canonicalize().map_err(|e| {
            Error::of(ErrorCode::FileUnreadable, format!("{what} {} cannot be read; check the file", path.display()))
                .with_source(e)
        })
    };
    // The parent of a bare name is the empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let found = real(path)?;
    if found.starts_with(real(folder)?) {
        Ok(found)
    } else {
        Err(Error::invalid(format!(
            "{what} {} is a link that leads out of its folder; put the file itself there",
            path.display()
        )))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{process::Command, sync::mpsc, time::Duration};

    #[test]
    fn a_pipe_or_a_device_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("talk.srt");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe, "/dev/zero".into(), folder.path().to_owned()] {
            let (told, hear) = mpsc::channel();
            std::thread::spawn(move || told.send(read_bounded("the transcript", &path, 10).unwrap_err()));
            let error = hear.recv_timeout(Duration::from_secs(30)).unwrap();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_bound_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read_bounded("the file", &path, 10).unwrap(), b"0123456789");
        let error = read_bounded("the file", &path, 9).unwrap_err();
        assert!(error.to_string().contains("has 10 bytes; at most 9"), "{error}");
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (videos, other) = (folder.path().join("videos"), folder.path().join("other.srt"));
        std::fs::create_dir(&videos).unwrap();
        std::fs::write(&other, "x").unwrap();
        std::fs::write(videos.join("own.srt"), "x").unwrap();
        std::os::unix::fs::symlink(&other, videos.join("out.srt")).unwrap();
        std::os::unix::fs::symlink(videos.join("own.srt"), videos.join("in.srt")).unwrap();
        assert!(inside("the file", &videos.join("in.srt"), &videos).is_ok());
        let error = inside("the file", &videos.join("out.srt"), &videos).unwrap_err();
        assert!(error.to_string().contains("leads out of its folder"), "{error}");
    }
}
