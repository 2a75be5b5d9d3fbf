//! Conditional GET: who has the answer already is not sent it again.
//!
//! Tags are weak: the same answer may be sent compressed or not. An answer is
//! made and authorised as ever before it is found to be known.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use sha2::{Digest, Sha256};

/// How much of the SHA-256 is in a tag.
const TAG_BYTES: usize = 16;

/// The tag of an answer with this body.
pub fn tag(body: &[u8]) -> Option<HeaderValue> {
    let hash = Sha256::digest(body);
    let mut tag = String::with_capacity(2 * TAG_BYTES + 4);
    tag.push_str("W/\"");
    for byte in &hash[..TAG_BYTES] {
        tag.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        tag.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    tag.push('"');
    HeaderValue::try_from(tag).ok()
}

/// Whether the client said that it has the answer with this tag.
fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else {
        return false;
    };
    let given = request.get_all(header::IF_NONE_MATCH).iter();
    let given = given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    given.into_iter().any(|given| given.trim() == "*" || opaque(given) == tag)
}

/// The answer, or 304 where the client has it.
pub fn apply(method: &Method, request: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    let readable = matches!(*method, Method::GET | Method::HEAD);
    if !readable
        || response.status() != StatusCode::OK
        || !request.contains_key(header::IF_NONE_MATCH)
    {
        return response;
    }
    let Some(tag) = response.headers().get(header::ETAG) else {
        return response;
    };
    if !is_known(request, tag) {
        return response;
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for described in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        response.headers_mut().remove(described);
    }
    response.map(|_| Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let tag = tag(b"answer").unwrap();
        let text = tag.to_str().unwrap();
        let strong = text.trim_start_matches("W/");
        for (given, known) in [
            (text.to_owned(), true),
            (strong.to_owned(), true),
            (format!("\"a\", {text}"), true),
            ("*".to_owned(), true),
            ("\"a\"".to_owned(), false),
            (String::new(), false),
        ] {
            let value = HeaderValue::try_from(given.as_str()).unwrap();
            let request = HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]);
            assert_eq!(is_known(&request, &tag), known, "{given}");
        }
    }
}
