//! What the gateway reads from and adds to headers.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use uuid::Uuid;
use yuantus_auth::opaque;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that carries a machine's key.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header that carries an idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The client's request id if it is one that logs can take, otherwise ours.
pub fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@+=".contains(&b);
        (1..=128).contains(&id.len()) && id.bytes().all(ok)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// A header as text; empty where it is missing or is not text.
pub fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The token of `Authorization: Bearer …`. `Err` where there is the header but
/// not such a token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let (scheme, token) = value.to_str().map_err(drop)?.split_once(' ').ok_or(())?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(());
    }
    Ok(Some(token.trim()))
}

/// What a request comes with to show whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A token.
    Token(&'a str),
    /// A key of a machine.
    ApiKey(&'a str),
}

/// The one credential of a request. `Err` where there is one of another kind,
/// or more than one.
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, ()> {
    let mut keys = headers.get_all(API_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(bearer(headers)?.map(|token| match token.starts_with(opaque::API_KEY) {
            true => Credential::ApiKey(token),
            false => Credential::Token(token),
        }));
    };
    if keys.next().is_some() || headers.contains_key(header::AUTHORIZATION) {
        return Err(());
    }
    Ok(Some(Credential::ApiKey(key.to_str().map_err(drop)?.trim())))
}

/// Takes the credential away: handlers see none.
pub fn remove_credential(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(API_KEY);
}

/// Whether a body of this content type is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    let value = text(headers, header::CONTENT_TYPE).to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let json = media == "application/json"
        || (media.starts_with("application/") && media.ends_with("+json"));
    let utf8 = |part: &str| match part.strip_prefix("charset=") {
        Some(charset) => matches!(charset.trim_matches('"'), "utf-8" | "utf8"),
        None => true,
    };
    json && parts.all(utf8)
}

/// Whether this is a gRPC request; gRPC-Web is not.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let media = text(headers, header::CONTENT_TYPE);
    match media.strip_prefix("application/grpc") {
        Some(rest) => rest.is_empty() || rest.starts_with(['+', ';']),
        None => false,
    }
}

/// Nothing that is no page may be run as one, or shown inside another.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Two years, for this host alone: others' certificates are not ours to vouch
/// for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// The id goes back on every answer, and nobody may keep, guess at, frame or
/// tell others of one. `tls` is whether the connection is encrypted.
pub fn finish(headers: &mut HeaderMap, request_id: &str, tls: bool) {
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_sane_request_ids_are_taken() {
        assert_eq!(request_id(&with("x-request-id", "abc-1")), "abc-1");
        for odd in ["", "a b", "a\"b", "<script>"] {
            assert_ne!(request_id(&with("x-request-id", odd)), odd);
        }
    }

    #[test]
    fn bearer_tokens_are_told_from_other_credentials() {
        assert_eq!(bearer(&with("authorization", "bearer  t ")), Ok(Some("t")));
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
        for other in ["Basic dTpw", "Bearer", "Bearer ", ""] {
            assert_eq!(bearer(&with("authorization", other)), Err(()), "{other}");
        }
    }

    #[test]
    fn a_request_has_one_credential() {
        let key = Ok(Some(Credential::ApiKey("yk_1")));
        assert_eq!(credential(&with("x-api-key", "yk_1 ")), key);
        assert_eq!(credential(&with("authorization", "Bearer yk_1")), key);
        let token = Ok(Some(Credential::Token("t")));
        assert_eq!(credential(&with("authorization", "Bearer t")), token);
        assert_eq!(credential(&HeaderMap::new()), Ok(None));
        let mut both = with("x-api-key", "yk_1");
        both.append("authorization", HeaderValue::from_static("Bearer t"));
        assert_eq!(credential(&both), Err(()));
        let mut two = with("x-api-key", "yk_1");
        two.append("x-api-key", HeaderValue::from_static("yk_2"));
        assert_eq!(credential(&two), Err(()));
        remove_credential(&mut both);
        assert!(both.is_empty());
    }

    #[test]
    fn json_is_told_from_what_is_not() {
        for json in ["application/json", "application/json; charset=UTF-8", "application/x+json"] {
            assert!(is_json(&with("content-type", json)), "{json}");
        }
        for other in ["", "text/plain", "application/json; charset=latin1", "text/json"] {
            assert!(!is_json(&with("content-type", other)), "{other}");
        }
    }
}
