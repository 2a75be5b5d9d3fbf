//! Tokens: JWTs signed with HS256.
//!
//! Invariant: the algorithm is ours, never the token's; audience, issuer and
//! expiry are required.

use std::{fmt, time::Duration};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
    get_current_timestamp,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Error, Principal, Result};

const AUDIENCE: &str = "yuantus";
const ISSUER: &str = "yuantus-control-plane";
const LEEWAY_SECONDS: u64 = 5;

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
        get_current_timestamp() < self.expires_at
    }
}

/// Issues and verifies tokens.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
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
        validation.leeway = LEEWAY_SECONDS;
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
            ttl,
        })
    }

    /// A token for `principal`, and how long it is good for.
    pub fn issue(&self, principal: &Principal) -> Result<(SecretString, Duration)> {
        let now = get_current_timestamp();
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            iss: ISSUER.to_owned(),
            iat: now,
            exp: now.saturating_add(self.ttl.as_secs()),
            sub: principal.user_id.to_string(),
            principal: principal.clone(),
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|source| Error::SignToken { source })?;
        Ok((token.into(), self.ttl))
    }

    /// Whose token this is.
    pub fn verify(&self, token: &str) -> Result<Principal> {
        self.verify_whole(token).map(|verified| verified.principal)
    }

    /// Whose token this is, and until when.
    pub fn verify_whole(&self, token: &str) -> Result<Verified> {
        let decoded = decode::<Claims>(token, &self.verifying, &self.validation);
        let verified = |claims: Claims| Verified {
            principal: claims.principal,
            expires_at: claims.exp.saturating_add(LEEWAY_SECONDS),
        };
        decoded.map(|data| verified(data.claims)).map_err(|source| match source.kind() {
            ErrorKind::ExpiredSignature => Error::ExpiredToken,
            _ => Error::InvalidToken { source },
        })
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
        let now = get_current_timestamp();
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
    fn an_empty_secret_is_refused() {
        assert!(Tokens::new(&"".into(), Duration::from_secs(1)).is_err());
    }
}
