//! Paths as clients send them: one driver doubles a slash in its monitoring request.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::Response;

/// Collapses runs of slashes in the path before routing; the query string is left alone.
pub async fn normalise(mut request: Request, next: Next) -> Response {
    if let Some(uri) = collapsed(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn collapsed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") {
        return None;
    }
    let mut clean = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !clean.ends_with('/') {
            clean.push(c);
        }
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(clean.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn double_slashes_collapse_and_queries_stay() {
        let uri: Uri = "/monitoring/queries//abc?x=a//b".parse().unwrap();
        assert_eq!(collapsed(&uri).unwrap(), "/monitoring/queries/abc?x=a//b");
        let uri: Uri = "/queries/v1/query-request?requestId=1".parse().unwrap();
        assert!(collapsed(&uri).is_none());
    }
}
