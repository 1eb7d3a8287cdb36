//! The requests that a server has seen.

use http::Method;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// How many are kept; the oldest go first.
const KEPT: usize = 10_000;

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// Its method, such as `PUT`.
    pub method: Method,
    /// Its path as sent, percent-encoded.
    pub path: String,
    /// Its query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// The bytes of its body on the wire.
    pub wire_bytes: usize,
    /// The bytes of its body, unpacked.
    pub body_bytes: usize,
}

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<VecDeque<SeenRequest>>);

impl RequestLog {
    pub(crate) fn push(&self, request: SeenRequest) {
        let mut log = self.0.lock();
        if log.len() >= KEPT {
            log.pop_front();
        }
        log.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        self.0.lock().iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded() {
        let log = RequestLog::default();
        for number in 0..=KEPT {
            let path = format!("/{number}");
            let (query, method) = (Vec::new(), Method::GET);
            log.push(SeenRequest { method, path, query, http2: false, wire_bytes: 0, body_bytes: 0 });
        }
        let all = log.all();
        assert_eq!((all.len(), all[0].path.as_str()), (KEPT, "/1"));
    }
}
