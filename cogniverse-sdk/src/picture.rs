//! Still pictures, checked by their headers before anything decodes them.

use crate::{Error, ErrorCode, ErrorKind, Result};
use std::{fs::File, io::Read, path::Path};

/// The largest number of pixels of a picture. A file of a few kilobytes can claim billions, which a decoder would
/// allocate.
pub const MAX_PIXELS: u64 = 100_000_000;
/// The largest width and height in pixels.
pub const MAX_SIDE: u32 = 30_000;

/// The format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PictureKind {
    /// A JPEG.
    Jpeg,
    /// A PNG.
    Png,
    /// A WebP, lossy or lossless.
    WebP,
    /// GIF, whose first picture counts.
    Gif,
}

impl PictureKind {
    /// Recognizes a format by the first twelve bytes of a file; `None` for anything else.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    /// Returns the media type, such as `image/jpeg`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }
}

/// The format and the size of a picture, as its header states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PictureHeader {
    /// The format.
    pub kind: PictureKind,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
}

impl PictureHeader {
    /// Parses the header at the start of a file; nothing is decoded. A JPEG's size can stand behind some hundred
    /// kilobytes of metadata.
    ///
    /// # Errors
    /// `InvalidInput` for bytes that are no JPEG, PNG, WebP or GIF, for a header that is cut, for a size of 0, and for
    /// more than [`MAX_PIXELS`] or [`MAX_SIDE`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let kind = PictureKind::of(bytes)
            .ok_or_else(|| Error::invalid("this is no JPEG, PNG, WebP or GIF; give a picture of one of these"))?;
        let size = match kind {
            PictureKind::Jpeg => jpeg_size(bytes),
            PictureKind::Png => png_size(bytes),
            PictureKind::WebP => webp_size(bytes),
            PictureKind::Gif => gif_size(bytes),
        };
        let (width, height) =
            size.ok_or_else(|| Error::invalid("the picture's header is cut or damaged; give the whole file"))?;
        if width == 0 || height == 0 {
            return Err(Error::invalid(format!("the picture claims {width}x{height} pixels; give one that has some")));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS || width > MAX_SIDE || height > MAX_SIDE {
            return Err(Error::invalid(format!(
                "the picture claims {width}x{height} pixels; at most {MAX_PIXELS} and {MAX_SIDE} a side are taken; scale it down"
            )));
        }
        Ok(Self { kind, width, height })
    }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    let two = bytes.get(at..at + 2)?;
    Some(two.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn little(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let part = bytes.get(at..at + count)?;
    Some(part.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    let side = |at: usize| Some(big(bytes, at)? << 16 | big(bytes, at + 2)?);
    Some((side(16)?, side(20)?))
}

fn gif_size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?))
}

/// Walks the segments up to the start of a frame, whose thirteen markers are C0 to CF without C4, C8 and CC.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // A fill byte.
            0xff => at += 1,
            // Markers without a length.
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((big(bytes, at + 7)?, big(bytes, at + 5)?));
            }
            // The picture's data or its end, and no size before.
            0xd9 | 0xda => return None,
            _ => at += 2 + usize::try_from(big(bytes, at + 2)?).ok().filter(|length| *length >= 2)?,
        }
    }
}

/// Reads the first chunk: `VP8 ` (lossy), `VP8L` (lossless) or `VP8X` (extended).
fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

/// A picture whose header was checked: its bytes can be passed to a decoder or a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    header: PictureHeader,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture").field("header", &self.header).field("bytes", &self.bytes.len()).finish()
    }
}

impl Picture {
    /// Checks the bytes of a file.
    ///
    /// # Errors
    /// Those of [`PictureHeader::parse`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        Ok(Self { header: PictureHeader::parse(&bytes)?, bytes })
    }

    /// Reads a file of at most `most` bytes. Blocking.
    ///
    /// # Errors
    /// `NotFound` or `Unavailable` where the file cannot be read; `InvalidInput` for a larger file, and those of
    /// [`PictureHeader::parse`].
    pub fn read(path: &Path, most: usize) -> Result<Self> {
        let shown = path.display();
        let unreadable = |e: std::io::Error| {
            let message = format!("the picture {shown} cannot be read; check the file");
            match e.kind() {
                std::io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, message),
                _ => Error::of(ErrorCode::FileUnreadable, message),
            }
            .with_source(e)
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take((most as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > most {
            let message = format!("the picture {shown} is larger than {most} bytes; scale it down");
            return Err(Error::invalid(message));
        }
        Self::parse(bytes).map_err(|e| e.with_context("picture", shown))
    }

    /// Returns the format and the size.
    #[must_use]
    pub fn header(&self) -> PictureHeader {
        self.header
    }

    /// Returns the bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(bytes: &[u8]) -> Result<(PictureKind, u32, u32)> {
        PictureHeader::parse(bytes).map(|header| (header.kind, header.width, header.height))
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    /// A JPEG with metadata of a length before the start of its frame.
    fn jpeg(metadata: u16, width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe1".to_vec();
        bytes.extend((metadata + 2).to_be_bytes());
        // A thumbnail within the metadata has a size of its own, which is not the picture's.
        bytes.extend(std::iter::repeat_n([0xff, 0xc0, 0, 17, 8, 0, 1, 0, 1], 7000).flatten().take(metadata.into()));
        bytes.extend(b"\xff\xff\xc2\0\x11\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes
    }

    #[test]
    fn each_format_states_its_size_where_its_specification_says() {
        assert_eq!(size(&png(800, 600)).unwrap(), (PictureKind::Png, 800, 600));
        assert_eq!(size(&jpeg(60_000, 640, 480)).unwrap(), (PictureKind::Jpeg, 640, 480));
        let gif = b"GIF89a\x40\x01\xf0\0\0\0\0";
        assert_eq!(size(gif).unwrap(), (PictureKind::Gif, 320, 240));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\0";
        assert_eq!(size(lossy).unwrap(), (PictureKind::WebP, 320, 240));
        let bits = (320u32 - 1) | (240 - 1) << 14;
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend(bits.to_le_bytes());
        assert_eq!(size(&lossless).unwrap(), (PictureKind::WebP, 320, 240));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0";
        assert_eq!(size(extended).unwrap(), (PictureKind::WebP, 320, 240));
    }

    #[test]
    fn a_bomb_and_half_a_header_are_refused_before_anything_is_decoded() {
        for (bytes, part) in [
            (png(50_000, 50_000), "50000x50000"),
            (png(29_999, 29_999), "at most 100000000"),
            (png(1, 30_001), "30000 a side"),
            (png(0, 5), "0x5"),
            (png(800, 600)[..20].to_vec(), "cut or damaged"),
            (jpeg(600, 8, 8)[..400].to_vec(), "cut or damaged"),
            (b"\xff\xd8\xff\xda\0\x02".to_vec(), "cut or damaged"),
            (b"not a picture at all".to_vec(), "no JPEG"),
            (Vec::new(), "no JPEG"),
        ] {
            let error = PictureHeader::parse(&bytes).unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_bound() {
        let path = std::env::temp_dir().join(format!("cogniverse-picture-{}.png", std::process::id()));
        std::fs::write(&path, png(8, 6)).unwrap();
        let read = Picture::read(&path, 100).unwrap();
        assert_eq!((read.header().width, read.bytes().len()), (8, 24));
        assert!(Picture::read(&path, 10).unwrap_err().to_string().contains("larger than 10"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Picture::read(&path, 100).unwrap_err().kind(), ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn invariant_25_any_bytes_are_answered(start in 0usize..5, rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let starts: [&[u8]; 5] = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8", b"GIF89a"];
            let _ = PictureHeader::parse(&[starts[start], &rest[..]].concat());
        }
    }
}
