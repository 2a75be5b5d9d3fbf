//! Files that the gateway receives.

use std::fmt;

use async_trait::async_trait;
use futures::TryStreamExt;
use yuantus_control_plane::{
    app::{App, file::Announced},
    rpc::file::shown,
};
use yuantus_domain::{Error, Result};
use yuantus_gateway::upload::{Incoming, Uploads};
use yuantus_proto::v1;

/// Hands them to the use cases.
pub(crate) struct AppUploads(pub(crate) App);

impl fmt::Debug for AppUploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppUploads")
    }
}

#[async_trait]
impl Uploads for AppUploads {
    async fn upload(&self, incoming: Incoming) -> Result<v1::File> {
        let Incoming { filename, content_type, bytes } = incoming;
        let bytes = bytes.map_err(|cut| Error::invalid("file", cut.to_string()));
        let announced = Announced { filename, content_type };
        Ok(shown(self.0.upload_file(announced, bytes).await?))
    }
}
