//! A part as it is stored: compressed, and encrypted where the backup is.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};
use cogniverse_sdk::{BackupKey, Error, ErrorCode, Result};
use sha2::{Digest, Sha256};

/// The level of compression: vectors hardly compress, and the fastest keeps up with a disk.
const LEVEL: i32 = 1;
/// The length of a nonce, which stands before the encrypted bytes.
const NONCE: usize = 24;
/// The largest content of a part: that of a page whose documents are as large as they may be.
const MAX_CONTENT: usize = 2 << 30;

/// Returns the SHA-256 of bytes in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Compresses and encrypts. `bound` is what the bytes belong to, such as the backup and the number of the part: opened with
/// another, they are refused.
pub(super) fn seal(content: &[u8], key: Option<&BackupKey>, bound: &str) -> Result<Vec<u8>> {
    if content.len() > MAX_CONTENT {
        let message = "a document is larger than a part of a backup can be";
        return Err(Error::of(ErrorCode::InvalidInput, message));
    }
    let packed = zstd::bulk::compress(content, LEVEL)
        .map_err(|e| Error::unexpected("a part of a backup cannot be compressed").with_source(e))?;
    match key {
        None => Ok(packed),
        Some(key) => encrypt(&packed, key.expose(), bound),
    }
}

/// Decrypts and decompresses to a content of the length that the manifest tells.
///
/// # Errors
/// `backup_damaged` for bytes that were changed or belong elsewhere; `backup_key_wrong` where a key does not open them.
pub(super) fn open(stored: &[u8], key: Option<&BackupKey>, bound: &str, length: u64) -> Result<Vec<u8>> {
    let opened = key.map(|key| decrypt(stored, key.expose(), bound)).transpose()?;
    let packed = opened.as_deref().unwrap_or(stored);
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_CONTENT);
    let length = length.ok_or_else(|| damaged("a part says that it is larger than any can be"))?;
    let content =
        zstd::bulk::decompress(packed, length).map_err(|e| damaged("a part cannot be decompressed").with_source(e))?;
    match content.len() == length {
        true => Ok(content),
        false => Err(damaged("a part is shorter than it was")),
    }
}

pub(super) fn encrypt(plain: &[u8], key: &[u8; 32], bound: &str) -> Result<Vec<u8>> {
    let nonce = XNonce::try_generate().map_err(|_| Error::unexpected("this machine gives no random numbers"))?;
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&nonce, Payload { msg: plain, aad: bound.as_bytes() })
        .map_err(|_| Error::unexpected("a part of a backup cannot be encrypted"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(super) fn decrypt(sealed: &[u8], key: &[u8; 32], bound: &str) -> Result<Vec<u8>> {
    let wrong = || {
        let message = "the key does not open this; give the key with which it was made";
        Error::of(ErrorCode::BackupKeyWrong, message)
    };
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or_else(wrong)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| wrong())?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(&nonce, Payload { msg: sealed, aad: bound.as_bytes() })
        .map_err(|_| wrong())
}

/// Returns 32 random bytes of the operating system.
pub(super) fn random() -> Result<[u8; 32]> {
    let key =
        chacha20poly1305::Key::try_generate().map_err(|_| Error::unexpected("this machine gives no random numbers"))?;
    Ok(key.into())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2).map(|place| u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()).collect()
}

pub(super) fn damaged(what: &str) -> Error {
    Error::of(ErrorCode::BackupDamaged, format!("{what}; use another backup"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_place_with_its_key_alone() {
        let (key, other) = (BackupKey::new("a", [1; 32]), BackupKey::new("b", [2; 32]));
        let content = b"words words words".repeat(50);
        let sealed = seal(&content, Some(&key), "backup/1").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"words"));
        assert_ne!(sealed, seal(&content, Some(&key), "backup/1").unwrap(), "no nonce is used twice");
        let length = content.len() as u64;
        assert_eq!(open(&sealed, Some(&key), "backup/1", length).unwrap(), content);
        for (key, bound) in [(&other, "backup/1"), (&key, "backup/2")] {
            assert_eq!(open(&sealed, Some(key), bound, length).unwrap_err().code(), ErrorCode::BackupKeyWrong);
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, Some(&key), "backup/1", length).is_err(), "{at}");
        }
        let plain = seal(&content, None, "backup/1").unwrap();
        assert_eq!(open(&plain, None, "backup/1", length).unwrap(), content);
        for wrong in [length - 1, length + 1, u64::MAX] {
            assert!(open(&plain, None, "backup/1", wrong).is_err(), "{wrong}");
        }
    }
}
