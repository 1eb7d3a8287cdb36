//! Document ids: `id:<namespace>:<type>:[g=<group>|n=<number>]:<rest>`, their global ids and their buckets.

use md5::{Digest, Md5};
use std::fmt;

/// Buckets that a visit walks through.
pub(crate) const BUCKETS: usize = 256;

/// A document's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DocumentId {
    pub(crate) namespace: String,
    pub(crate) document_type: String,
    pub(crate) place: Place,
    pub(crate) rest: String,
}

/// What decides where the document lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Rest,
    Group(String),
    Number(i64),
}

impl DocumentId {
    /// The first bytes that decide the bucket, then those of the whole id.
    pub(crate) fn gid(&self) -> [u8; 12] {
        let own = match &self.place {
            Place::Rest => Md5::digest(&self.rest).into(),
            Place::Group(group) => Md5::digest(group).into(),
            Place::Number(number) => {
                let mut bytes = [0; 16];
                bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(slot, byte)| *slot = byte);
                bytes
            }
        };
        let whole: [u8; 16] = Md5::digest(self.to_string()).into();
        let mut gid = [0; 12];
        let bytes = own.iter().take(4).chain(whole.iter().skip(4));
        gid.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        gid
    }

    /// Where it stands in the order of a visit.
    pub(crate) fn bucket(&self) -> usize {
        self.gid().first().map_or(0, |byte| usize::from(byte.reverse_bits()))
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id:{}:{}:", self.namespace, self.document_type)?;
        match &self.place {
            Place::Rest => {}
            Place::Group(group) => write!(f, "g={group}")?,
            Place::Number(number) => write!(f, "n={number}")?,
        }
        write!(f, ":{}", self.rest)
    }
}

/// 24 hexadecimal digits.
pub(crate) fn hex(gid: [u8; 12]) -> String {
    gid.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_ids_are_vespas() {
        let id = |place, rest: &str| DocumentId {
            namespace: "ns".to_owned(),
            document_type: "video_acme".to_owned(),
            place,
            rest: rest.to_owned(),
        };
        assert_eq!(hex(id(Place::Rest, "a").gid()), "0cc175b9df24b8f40ef7474b");
        assert_eq!(id(Place::Group("g/1".to_owned()), "x").to_string(), "id:ns:video_acme:g=g/1:x");
        assert_eq!(id(Place::Number(5), "x").gid()[..4], [5, 0, 0, 0]);
    }
}
