//! `POST /api/v1/file/upload`: one file as a part of a multipart form, handed
//! on as it comes.
//!
//! Invariant: nobody holds more than a chunk of it here, and what was handed
//! on counts only once the form has been read to its end. An upload may take
//! as long as it likes while it makes progress.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, Response, StatusCode, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::timeout;
use tonic::Code;
use yuantus_auth::{Caller, caller::CALLER};
use yuantus_proto::{rest::Route, v1};

use crate::{front::Front, headers, problem::Problem};

/// What callers are authorised for: there is no such method by gRPC.
pub const RPC: &str = "/yuantus.controlplane.v1.FileService/UploadFile";

/// The route.
pub static ROUTE: Route =
    Route { rpc: RPC, verb: "POST", template: "/api/v1/file/upload", streams: false, waits: true };

/// The part of the form that is the file.
const FIELD: &str = "file";
/// What the other parts of a form and what is between them may come to.
const BESIDE: u64 = 64 * 1024;
/// How much and how long is read of what nobody wants, so that the client is
/// still there to read why.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN: Duration = Duration::from_secs(3);

/// The bytes of a file as they come.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send>>;

/// A file as it comes.
pub struct Incoming {
    /// Its name, as the client has it; empty where it says none.
    pub filename: String,
    /// What it is, as the client says; empty where it does not.
    pub content_type: String,
    /// Its bytes. After an error there are no more, and the file is not whole.
    pub bytes: Chunks,
}

/// That a file did not come whole.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("was not sent whole")]
pub struct Cut;

/// Takes files of the org of the running request.
#[async_trait]
pub trait Uploads: fmt::Debug + Send + Sync + 'static {
    /// Takes a file, which is kept only if all of it comes.
    async fn upload(&self, incoming: Incoming) -> yuantus_domain::Result<v1::File>;
}

/// Why the form could not be read, for whoever answers.
#[derive(Clone, Default)]
struct Wrong(Arc<Mutex<Option<Problem>>>);

impl Wrong {
    fn put(&self, problem: Problem) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
    }

    fn take(&self) -> Option<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Front {
    /// Takes the file of a form for `caller`.
    pub(crate) async fn upload(
        &self,
        headers: &HeaderMap,
        body: Body,
        caller: Arc<Caller>,
    ) -> Result<Response<Body>, Problem> {
        let boundary = multer::parse_boundary(headers::text(headers, header::CONTENT_TYPE));
        let boundary = boundary.map_err(|_| not_a_form())?;
        let most = self.max_file_bytes;
        if body.size_hint().lower() > most.saturating_add(BESIDE) {
            drain(body.into_data_stream()).await;
            return Err(too_large(most));
        }
        let (wrong, rest, held) = (Wrong::default(), Rest::new(body), Held::default());
        let body = timed(rest.clone(), self.body_timeout, wrong.clone(), held.clone());
        let limits = SizeLimit::new()
            .whole_stream(most.saturating_add(BESIDE))
            .for_field(FIELD, most)
            .per_field(BESIDE);
        let form =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        let reading = Reading { wrong, held, most };
        let taken = self.take(form, &reading, caller).await;
        if taken.is_err() {
            drain(rest).await;
        }
        taken
    }

    async fn take(
        &self,
        mut form: Multipart<'static>,
        reading: &Reading,
        caller: Arc<Caller>,
    ) -> Result<Response<Body>, Problem> {
        let field = loop {
            match form.next_field().await.map_err(|error| reading.problem(&error))? {
                Some(field) if field.name() == Some(FIELD) => break field,
                Some(other) => reading.skip(other).await?,
                None => return Err(no_file()),
            }
        };
        let incoming = Incoming {
            filename: field.file_name().unwrap_or_default().to_owned(),
            content_type: field.content_type().map(ToString::to_string).unwrap_or_default(),
            bytes: reading.bytes(field, form),
        };
        let taken = CALLER.scope(caller, self.uploads.upload(incoming)).await;
        let file = taken.map_err(|error| {
            let status = || Problem::of_status(&(self.to_status)(error));
            reading.wrong.take().unwrap_or_else(status)
        })?;
        let json = serde_json::to_string(&file).map_err(|_| Problem::panicked())?;
        let mut response = Response::new(Body::from(json));
        let kind = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

/// What is left of the body, whoever reads it.
#[derive(Clone)]
struct Rest(Arc<Mutex<axum::body::BodyDataStream>>);

impl Rest {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body.into_data_stream())))
    }
}

impl Stream for Rest {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(cx)
    }
}

/// How much of the body the form's reader holds: what came, and was not handed
/// on. It keeps all that comes until it finds where a part begins.
#[derive(Clone, Default)]
struct Held(Arc<AtomicU64>);

impl Held {
    /// Whether the reader may have one chunk more.
    fn takes(&self, chunk: &Bytes) -> bool {
        let before = self.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        before <= BESIDE * 4
    }

    /// The reader handed a chunk on.
    fn gave(&self, chunk: &Bytes) {
        let less = |held: u64| Some(held.saturating_sub(chunk.len() as u64));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The body, whose every chunk comes in time. One at a time: the form's reader
/// takes all that is there before it hands anything on.
fn timed(
    body: Rest,
    limit: Duration,
    wrong: Wrong,
    held: Held,
) -> impl Stream<Item = Result<Bytes, multer::Error>> + Send + 'static {
    stream::try_unfold((body, wrong, held), move |(mut body, wrong, held)| async move {
        tokio::task::yield_now().await;
        match timeout(limit, body.try_next()).await {
            Ok(Ok(chunk)) => {
                if !chunk.as_ref().is_none_or(|chunk| held.takes(chunk)) {
                    wrong.put(bad_form());
                    return Err(multer::Error::IncompleteHeaders);
                }
                Ok(chunk.map(|chunk| (chunk, (body, wrong, held))))
            }
            Ok(Err(error)) => Err(multer::Error::StreamReadFailed(error.into())),
            Err(late) => {
                wrong.put(Problem::body_timed_out());
                Err(multer::Error::StreamReadFailed(late.into()))
            }
        }
    })
}

/// How a form is read, and what was wrong with it.
struct Reading {
    wrong: Wrong,
    held: Held,
    most: u64,
}

impl Reading {
    /// The file's bytes, and then the rest of the form: its end must be there.
    fn bytes(&self, field: Field<'static>, form: Multipart<'static>) -> Chunks {
        let (wrong, held) = (self.wrong.clone(), self.held.clone());
        let reading = Self { wrong, held, most: self.most };
        let state = (reading, Some(field), form);
        Box::pin(stream::try_unfold(state, |(reading, field, mut form)| async move {
            if let Some(mut field) = field {
                let chunk = field.chunk().await.map_err(|error| reading.cut(&error))?;
                if let Some(chunk) = chunk {
                    reading.held.gave(&chunk);
                    return Ok(Some((chunk, (reading, Some(field), form))));
                }
            }
            while let Some(other) = form.next_field().await.map_err(|error| reading.cut(&error))? {
                if other.name() == Some(FIELD) {
                    reading.wrong.put(invalid("must be given once"));
                    return Err(Cut);
                }
                reading.skip(other).await.map_err(|problem| {
                    reading.wrong.put(problem);
                    Cut
                })?;
            }
            Ok(None)
        }))
    }

    async fn skip(&self, mut field: Field<'static>) -> Result<(), Problem> {
        while let Some(chunk) = field.chunk().await.map_err(|error| self.problem(&error))? {
            self.held.gave(&chunk);
        }
        Ok(())
    }

    fn cut(&self, error: &multer::Error) -> Cut {
        let problem = self.problem(error);
        self.wrong.put(problem);
        Cut
    }

    fn problem(&self, error: &multer::Error) -> Problem {
        use multer::Error as Form;
        if let Some(problem) = self.wrong.take() {
            return problem;
        }
        match error {
            Form::FieldSizeExceeded { .. } | Form::StreamSizeExceeded { .. } => {
                too_large(self.most)
            }
            Form::StreamReadFailed(_)
            | Form::IncompleteFieldData { .. }
            | Form::IncompleteStream
            | Form::IncompleteHeaders => Problem::body_cut_off(),
            _ => bad_form(),
        }
    }
}

/// Reads on for a moment: a client that is cut off while it sends may never
/// look at the answer.
async fn drain(rest: impl Stream<Item = Result<Bytes, axum::Error>>) {
    let mut rest = std::pin::pin!(rest);
    let mut left = DRAIN_BYTES;
    let read = async {
        while let Some(Ok(chunk)) = rest.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whether it was read to its end makes no difference.
    let _ = timeout(DRAIN, read).await;
}

fn invalid(rule: &str) -> Problem {
    let detail = format!("{FIELD} {rule}");
    let status = StatusCode::BAD_REQUEST;
    Problem::new(status, Code::InvalidArgument, "INVALID_ARGUMENT", detail)
        .field(Some(FIELD.to_owned()))
}

fn no_file() -> Problem {
    invalid("must be a part of the form")
}

fn not_a_form() -> Problem {
    let detail = "the body must be a multipart/form-data form";
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Problem::new(status, Code::InvalidArgument, "NOT_A_FORM", detail)
}

fn bad_form() -> Problem {
    let detail = "the body is not a whole multipart/form-data form";
    Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "BAD_FORM", detail)
}

fn too_large(most: u64) -> Problem {
    let detail = format!("the file is larger than {most} bytes");
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, Code::ResourceExhausted, "FILE_TOO_LARGE", detail)
        .field(Some(FIELD.to_owned()))
}
