//! Who calls and what they may do: passwords, tokens, permissions, the caller of the running request, and secrets sealed at rest.
//!
//! Invariant: no type here shows a secret.

pub mod attempts;
pub mod caller;
pub mod clock;
pub mod derived;
pub mod error;
pub mod opaque;
pub mod passwords;
pub mod permission;
pub mod policy;
pub mod principal;
pub mod purpose;
pub mod random;
pub mod role;
pub mod sealed;
pub mod signer;
pub mod tenancy;
pub mod tokens;

pub use attempts::Attempts;
pub use caller::Caller;
pub use derived::DerivedPasswords;
pub use error::{Error, Result};
pub use passwords::Passwords;
pub use permission::Permission;
pub use principal::{Kind, Principal};
pub use random::{random_key, random_password};
pub use role::Role;
pub use sealed::{Aad, Sealer};
pub use signer::{Signer, key_name};
pub use tokens::Tokens;
