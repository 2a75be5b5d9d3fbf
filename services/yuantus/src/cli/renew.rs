//! Exchanging the profile's token before it ends.
//!
//! Invariant: a refresh token is good once, so commands that run side by side
//! take turns, and the next one is kept before the new token is used.

use std::path::Path;

use yuantus_proto::v1::RefreshTokenRequest;

use crate::{
    client::{Client, Trust},
    failure::Failure,
    profile::{self, Profile, Profiles},
};

/// The profile's token; a new one where it is about to end. Where none is to be
/// had it is the old one: the server says what is wrong with that.
pub(super) async fn current_token(
    path: &Path,
    name: &str,
    profile: &Profile,
    trust: &Trust,
) -> Result<String, Failure> {
    if !profile.is_ending() {
        return Ok(profile.token.clone());
    }
    let _turn = profile::lock(path)?;
    let profiles = Profiles::read(path)?;
    let Some(mut profile) = profiles.get(name).cloned() else { return Ok(profile.token.clone()) };
    if !profile.is_ending() {
        return Ok(profile.token);
    }
    let client = Client::new(&profile.server, None, trust)?;
    let request = RefreshTokenRequest { refresh_token: profile.refresh_token.clone() };
    if let Ok(answer) = client.auth().refresh_token(request).await {
        profile.keep(answer.into_inner());
        profiles.put(path, name, profile.clone())?;
    }
    Ok(profile.token)
}
