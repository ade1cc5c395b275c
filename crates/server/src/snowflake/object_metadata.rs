//! `x-goog-meta-*` headers that clients store with a file and read back.
//!
//! They hold digests that only the clients themselves use, so they are kept in memory for the most
//! recent files: a file without them is still whole.

use std::collections::{HashMap, VecDeque};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

const FILES_MAX: usize = 20_000;
const HEADERS_MAX: usize = 16;
const PREFIX: &str = "x-goog-meta-";

type Key = (i64, String);
type Headers = Vec<(HeaderName, HeaderValue)>;

#[derive(Default)]
struct Files {
    headers: HashMap<Key, Headers>,
    order: VecDeque<Key>,
}

/// Metadata by stage id and path.
#[derive(Default)]
pub struct ObjectMetadata {
    files: Mutex<Files>,
}

impl ObjectMetadata {
    /// Keeps the metadata headers of an upload, in place of any older ones.
    pub fn keep(&self, stage_id: i64, path: &str, headers: &HeaderMap) {
        let kept: Headers = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(PREFIX))
            .take(HEADERS_MAX)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let key = (stage_id, path.to_string());
        let mut files = self.files.lock();
        if files.headers.insert(key.clone(), kept).is_none() {
            files.order.push_back(key);
        }
        while files.order.len() > FILES_MAX {
            if let Some(oldest) = files.order.pop_front() {
                files.headers.remove(&oldest);
            }
        }
    }

    /// Adds the kept headers to an answer.
    pub fn restore(&self, stage_id: i64, path: &str, headers: &mut HeaderMap) {
        let files = self.files.lock();
        for (name, value) in files.headers.get(&(stage_id, path.to_string())).into_iter().flatten()
        {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_metadata_headers_come_back() {
        let store = ObjectMetadata::default();
        let mut sent = HeaderMap::new();
        sent.insert("x-goog-meta-sfc-digest", "abc".parse().unwrap());
        sent.insert("authorization", "secret".parse().unwrap());
        store.keep(1, "a.csv", &sent);
        let mut back = HeaderMap::new();
        store.restore(1, "a.csv", &mut back);
        store.restore(2, "a.csv", &mut back);
        assert_eq!(back.len(), 1);
        assert_eq!(back["x-goog-meta-sfc-digest"], "abc");
    }
}
