//! `FileService`.

use tonic::{Request, Response};
use yuantus_domain::PageSize;
use yuantus_proto::v1::{self, file_service_server::FileService};
use yuantus_tenant_data::File;

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::App;

/// Serves files.
#[derive(Clone)]
pub struct Files(pub App);

/// A file as the API shows it: where its bytes are is nobody's business.
pub fn shown(file: File) -> v1::File {
    v1::File {
        id: file.id.to_string(),
        filename: file.filename,
        // The configuration takes no larger ones.
        size: u32::try_from(file.size).unwrap_or(u32::MAX),
        content_type: file.content_type,
        checksum: file.checksum,
        created_at: convert::time(file.created_at),
        created_by: file.created_by.unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl FileService for Files {
    async fn get_file(&self, request: Request<v1::GetFileRequest>) -> Answer<v1::File> {
        let id = convert::uuid("file_id", &request.get_ref().file_id).map_err(status)?;
        Ok(Response::new(shown(self.0.get_file(id).await.map_err(status)?)))
    }

    async fn list_files(
        &self,
        request: Request<v1::ListFilesRequest>,
    ) -> Answer<v1::ListFilesResponse> {
        let request = request.get_ref();
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_files(size, &request.page_token).await.map_err(status)?;
        let page = page.map(shown);
        Ok(Response::new(v1::ListFilesResponse { files: page.items, next_page_token: page.next }))
    }

    async fn delete_file(
        &self,
        request: Request<v1::DeleteFileRequest>,
    ) -> Answer<v1::DeleteFileResponse> {
        let id = convert::uuid("file_id", &request.get_ref().file_id).map_err(status)?;
        self.0.delete_file(id).await.map_err(status)?;
        Ok(Response::new(v1::DeleteFileResponse {}))
    }

    async fn get_download_url(
        &self,
        request: Request<v1::GetDownloadUrlRequest>,
    ) -> Answer<v1::DownloadUrl> {
        let id = convert::uuid("file_id", &request.get_ref().file_id).map_err(status)?;
        let urls = self.0.download_urls(id).await.map_err(status)?;
        Ok(Response::new(v1::DownloadUrl {
            url: urls.get,
            head_url: urls.head,
            expires_in: i32::try_from(urls.valid.as_secs()).unwrap_or(i32::MAX),
        }))
    }
}
