//! Decoding of transcript files.

use cogniverse_sdk::{Error, Result};

/// Decodes UTF-8, and UTF-16 with a byte order mark.
///
/// # Errors
/// `InvalidInput`, with the remedy, that names the first undecodable line.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String> {
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        Error::invalid(format!(
            "line {} is not UTF-8; save the file as UTF-8 (from Windows: iconv -f windows-1252 -t utf-8)",
            line_after(before)
        ))
    })?;
    // Half of UTF-16 without its mark is this.
    match text.find('\0') {
        None => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Some(at) => Err(Error::invalid(format!(
            "line {} holds a zero, as UTF-16 without a byte order mark does; save the file as UTF-8",
            line_after(text.as_bytes().get(..at).unwrap_or_default())
        ))),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let whole = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).try_for_each(|decoded| match decoded {
        Ok(c) => {
            text.push(c);
            Ok(())
        }
        Err(_) => Err(()),
    });
    if whole.is_ok() && rest.is_empty() {
        return Ok(text);
    }
    let line = line_after(text.as_bytes());
    Err(Error::invalid(format!("line {line} is not UTF-16, as its byte order mark says; save the file as UTF-8")))
}

/// Returns the number of the line after a prefix of a file.
fn line_after(bytes: &[u8]) -> usize {
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|(at, byte)| **byte == b'\n' || (**byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')));
    ends.count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_read_by_its_mark_and_other_encodings_are_refused_by_line() {
        let text = "WEBVTT\n\ncafé 🙂";
        let wide = |unit: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
        };
        assert_eq!(decode(wide(u16::to_le_bytes, [0xFF, 0xFE])).unwrap(), text);
        assert_eq!(decode(wide(u16::to_be_bytes, [0xFE, 0xFF])).unwrap(), text);
        assert_eq!(decode(format!("\u{feff}{text}").into_bytes()).unwrap(), text);
        let mut odd = wide(u16::to_le_bytes, [0xFF, 0xFE]);
        odd.pop();
        let refused = [
            (b"a\r\nb\rcaf\xe9\n".to_vec(), "line 3 is not UTF-8"),
            (wide(u16::to_le_bytes, [0xFF, 0xFE]).split_off(2), "is not UTF-8"),
            ("a\nb\0c".as_bytes().to_vec(), "line 2 holds a zero"),
            (odd, "line 3 is not UTF-16"),
        ];
        for (bytes, part) in refused {
            let error = decode(bytes).unwrap_err();
            assert!(
                error.to_string().contains(part) && error.to_string().contains("save the file as UTF-8"),
                "{error}"
            );
        }
    }
}
