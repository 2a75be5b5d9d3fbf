//! Tokens: JWTs signed with HS256.
//!
//! Invariants: the algorithm is ours, never the token's; audience, issuer and
//! expiry are required; a token is good from when it was issued, by the clock
//! of [`crate::clock`]. One secret signs, older ones still verify: a token
//! names its secret by a `kid` made from the secret's hash.

use std::{fmt, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::ErrorKind,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Error, Principal, Result, clock};

const AUDIENCE: &str = "yuantus";
const ISSUER: &str = "yuantus-control-plane";
const LEEWAY_SECONDS: u64 = 5;
/// What the clocks of processes may differ by that go by the same database.
const AHEAD_SECONDS: u64 = 30;

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: u64,
    exp: u64,
    sub: String,
    #[serde(flatten)]
    principal: Principal,
}

/// A secret that verifies, and its name.
#[derive(Clone)]
struct Key {
    id: String,
    verifying: DecodingKey,
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let hash = digest(&SHA256, &[b"yuantus token secret\0", secret].concat());
        let id = hex::encode(&hash.as_ref()[..8]);
        Self { id, verifying: DecodingKey::from_secret(secret) }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub principal: Principal,
    /// From which second of the epoch on it is no longer taken.
    pub expires_at: u64,
}

impl Verified {
    /// Whether it is still taken.
    pub fn is_good(&self) -> bool {
        clock::now() < self.expires_at
    }
}

/// Issues and verifies tokens.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    /// That of `signing` first.
    keys: Vec<Key>,
    validation: Validation,
    ttl: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Takes the secret and how long tokens are good for. How long the secret
    /// must be, the configuration decides; it must not be empty.
    pub fn new(secret: &SecretString, ttl: Duration) -> Result<Self> {
        let secret = secret.expose_secret().as_bytes();
        if secret.is_empty() {
            return Err(Error::EmptyTokenSecret);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // By another clock than the library's.
        validation.validate_exp = false;
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            keys: vec![Key::new(secret)],
            validation,
            ttl,
        })
    }

    /// Also takes tokens that were signed with an older secret.
    pub fn with_previous(mut self, secret: &SecretString) -> Result<Self> {
        let secret = secret.expose_secret().as_bytes();
        if secret.is_empty() {
            return Err(Error::EmptyTokenSecret);
        }
        self.keys.push(Key::new(secret));
        Ok(self)
    }

    /// The names of the secrets, as tokens name them: that which signs first.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// A token for `principal`, and how long it is good for.
    pub fn issue(&self, principal: &Principal) -> Result<(SecretString, Duration)> {
        self.issue_for(principal, self.ttl)
    }

    /// As [`Self::issue`], for at most this long.
    pub fn issue_for(
        &self,
        principal: &Principal,
        at_most: Duration,
    ) -> Result<(SecretString, Duration)> {
        let ttl = self.ttl.min(at_most);
        self.sign(principal, ttl)
    }

    /// A token that is good for exactly this long, whatever is usual.
    pub fn sign(&self, principal: &Principal, ttl: Duration) -> Result<(SecretString, Duration)> {
        self.sign_at(principal, ttl, clock::now())
    }

    fn sign_at(
        &self,
        principal: &Principal,
        ttl: Duration,
        now: u64,
    ) -> Result<(SecretString, Duration)> {
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            iss: ISSUER.to_owned(),
            iat: now,
            exp: now.saturating_add(ttl.as_secs()),
            sub: principal.user_id.to_string(),
            principal: principal.clone(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.kid = self.keys.first().map(|key| key.id.clone());
        let token = encode(&header, &claims, &self.signing)
            .map_err(|source| Error::SignToken { source })?;
        Ok((token.into(), ttl))
    }

    /// Whose token this is.
    pub fn verify(&self, token: &str) -> Result<Principal> {
        self.verify_whole(token).map(|verified| verified.principal)
    }

    /// Whose token this is, and until when. A token without a `kid` must be
    /// signed with the newest secret.
    pub fn verify_whole(&self, token: &str) -> Result<Verified> {
        self.verify_at(token, clock::now())
    }

    fn verify_at(&self, token: &str, now: u64) -> Result<Verified> {
        let invalid = |source| Error::InvalidToken { source };
        let kid = decode_header(token).map_err(invalid)?.kid;
        let named = |key: &&Key| kid.as_ref().is_none_or(|kid| *kid == key.id);
        let Some(key) = self.keys.iter().find(named) else {
            return Err(invalid(ErrorKind::InvalidSignature.into()));
        };
        let claims = decode::<Claims>(token, &key.verifying, &self.validation);
        let Claims { iat: issued_at, exp, principal, .. } = claims.map_err(invalid)?.claims;
        let expires_at = exp.saturating_add(LEEWAY_SECONDS);
        if issued_at > now.saturating_add(AHEAD_SECONDS) {
            return Err(Error::FutureToken { issued_at, now });
        }
        if now >= expires_at {
            return Err(Error::ExpiredToken);
        }
        Ok(Verified { principal, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::random_key;

    fn tokens(ttl: Duration) -> Tokens {
        Tokens::new(&random_key().unwrap(), ttl).unwrap()
    }

    #[test]
    fn a_token_brings_its_principal_back() {
        let tokens = tokens(Duration::from_secs(60));
        let (token, good_for) = tokens.issue(&Principal::anonymous()).unwrap();
        assert_eq!(good_for, Duration::from_secs(60));
        assert_eq!(tokens.verify(token.expose_secret()).unwrap(), Principal::anonymous());
    }

    #[test]
    fn another_secret_or_no_signature_is_refused() {
        let hour = Duration::from_secs(3600);
        let (token, _) = tokens(hour).issue(&Principal::anonymous()).unwrap();
        assert!(tokens(hour).verify(token.expose_secret()).is_err());

        let payload = token.expose_secret().split('.').nth(1).unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        assert!(tokens(hour).verify(&format!("{none}.{payload}.")).is_err());
    }

    #[test]
    fn expiry_audience_and_issuer_are_required() {
        let tokens = tokens(Duration::from_secs(60));
        let now = clock::now();
        let good = serde_json::json!({
            "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + 60, "sub": "1",
            "user_id": 1, "tenant": "acme", "org": null, "username": "a", "roles": [],
        });
        let verify = |claims: &serde_json::Value| {
            let token = encode(&Header::default(), claims, &tokens.signing).unwrap();
            tokens.verify(&token)
        };
        assert!(verify(&good).is_ok());
        for (claim, bad) in [("aud", "other".into()), ("iss", "other".into()), ("exp", 1.into())] {
            let mut claims = good.clone();
            claims[claim] = bad;
            assert!(verify(&claims).is_err(), "wrong {claim}");
            claims.as_object_mut().unwrap().remove(claim);
            assert!(verify(&claims).is_err(), "no {claim}");
        }
    }

    #[test]
    fn a_token_from_the_future_is_refused_and_one_of_a_little_later_is_not() {
        let tokens = tokens(Duration::from_secs(60));
        let at = |now: u64| {
            let signed = tokens.sign_at(&Principal::anonymous(), Duration::from_secs(3600), now);
            signed.unwrap().0
        };
        let now = 1_760_000_000;
        let verify = |issued_at: u64| tokens.verify_at(at(issued_at).expose_secret(), now);
        let day = 86_400;
        let refused = verify(now + day);
        let Err(Error::FutureToken { issued_at, now: clock }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((issued_at, clock), (now + day, now));
        assert!(verify(now + AHEAD_SECONDS).is_ok());
        assert!(verify(now + AHEAD_SECONDS + 1).is_err());
        assert!(verify(now - 3600).is_ok());
        assert!(matches!(verify(now - day), Err(Error::ExpiredToken)));
    }

    #[test]
    fn older_secrets_verify_and_do_not_sign() {
        let hour = Duration::from_secs(3600);
        let (old, new) = (random_key().unwrap(), random_key().unwrap());
        let before = Tokens::new(&old, hour).unwrap();
        let after = Tokens::new(&new, hour).unwrap();
        let both = after.clone().with_previous(&old).unwrap();
        let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
        let (one, _) = before.issue(&Principal::anonymous()).unwrap();
        let (two, _) = both.issue(&Principal::anonymous()).unwrap();
        assert_ne!(kid(one.expose_secret()), kid(two.expose_secret()));
        for token in [&one, &two] {
            assert!(both.verify(token.expose_secret()).is_ok());
        }
        assert!(after.verify(one.expose_secret()).is_err());
        assert!(after.verify(two.expose_secret()).is_ok());
        assert!(before.verify(two.expose_secret()).is_err());
    }

    #[test]
    fn a_token_is_good_no_longer_than_its_session() {
        let tokens = tokens(Duration::from_secs(60));
        let issue = |at_most| {
            let at_most = Duration::from_secs(at_most);
            tokens.issue_for(&Principal::anonymous(), at_most).unwrap().1.as_secs()
        };
        assert_eq!((issue(5), issue(600)), (5, 60));
        let (token, _) = tokens.issue(&Principal::anonymous()).unwrap();
        assert!(tokens.verify_whole(token.expose_secret()).unwrap().is_good());
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(Tokens::new(&"".into(), Duration::from_secs(1)).is_err());
    }
}
