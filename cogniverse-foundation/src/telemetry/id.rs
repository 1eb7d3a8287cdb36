//! Trace and span ids.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

thread_local! {
    /// Keys from the operating system and a counter, so that no two threads or processes generate the same sequence:
    /// two tenants with the same trace id would share a trace in the store.
    static SOURCE: (RandomState, Cell<u64>) = (RandomState::new(), const { Cell::new(0) });
}

fn random() -> u64 {
    SOURCE.with(|(keys, counter)| {
        let count = counter.get().wrapping_add(1);
        counter.set(count);
        let mut hasher = keys.build_hasher();
        hasher.write_u64(count);
        // Zero is no id.
        hasher.finish().max(1)
    })
}

/// Returns a number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::try_from(random() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! trace_id {
    ($(#[$meta:meta])* $name:ident, $bytes:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Creates an id from its bytes; `None` where all are zero.
            #[must_use]
            pub fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// Parses lower-case hex digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let digits: Option<Vec<u8>> = text
                    .bytes()
                    .map(|digit| match digit {
                        b'0'..=b'9' => Some(digit - b'0'),
                        b'a'..=b'f' => Some(digit - b'a' + 10),
                        _ => None,
                    })
                    .collect();
                let bytes: Vec<u8> = digits?.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
                (text.len() == 2 * $bytes).then(|| bytes.try_into().ok()).flatten().and_then(Self::from_bytes)
            }

            /// Returns the bytes, most significant first.
            #[must_use]
            pub fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }
    };
}

trace_id! {
    /// The id of a trace: 16 bytes, not all zero.
    TraceId, 16
}
trace_id! {
    /// The id of a span: 8 bytes, not all zero.
    SpanId, 8
}

impl TraceId {
    /// Creates an id that no other thread or process creates.
    #[must_use]
    pub fn random() -> Self {
        Self((u128::from(random()) << 64 | u128::from(random())).to_be_bytes())
    }
}

impl SpanId {
    pub(crate) fn random() -> Self {
        Self(random().to_be_bytes())
    }
}
