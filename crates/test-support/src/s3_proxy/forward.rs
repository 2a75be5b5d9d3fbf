//! One request on its way through the proxy.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{Action, Seen, State};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = BoxBody<Bytes, hyper::Error>;

#[derive(Clone)]
pub(super) struct Forwarder {
    client: Client<HttpConnector, Full<Bytes>>,
    authority: String,
    state: Arc<State>,
}

impl Forwarder {
    /// To the server at `target`, such as `http://127.0.0.1:9000`.
    pub(super) fn new(target: &str, state: Arc<State>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let target: Uri = target.parse().expect("URL");
        let authority = target.authority().expect("host and port").to_string();
        Self { client, authority, state }
    }

    /// Answers a request, by asking the server or as a rule has it.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BoxError> {
        let (mut head, body) = request.into_parts();
        // Read before it is decided: nobody likes an answer before the question's end.
        let mut body = body.collect().await?.to_bytes();
        let action = self.state.decide(Seen {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
        });
        match action {
            Some((Action::Refuse(status, code), _)) => {
                return Ok(refusal(status, code, head.method == Method::HEAD));
            }
            Some((Action::FlipRequest, number)) => body = flip(&body, number),
            _ => {}
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        // The host that was signed stays in its header.
        head.uri = format!("http://{}{path}", self.authority).parse()?;
        let answer = self.client.request(Request::from_parts(head, Full::new(body))).await?;
        if let Some((Action::FlipAnswer, number)) = action {
            let (head, body) = answer.into_parts();
            let body = flip(&body.collect().await?.to_bytes(), number);
            return Ok(Response::from_parts(head, whole(body)));
        }
        Ok(answer.map(BodyExt::boxed))
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed()
}

/// An error as S3 says it; to HEAD without a body, and so without its code.
fn refusal(status: StatusCode, code: &str, is_head: bool) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
         <Message>The proxy of the tests says so.</Message></Error>"
    );
    let body = if is_head { String::new() } else { xml };
    let mut answer = Response::new(whole(body.into()));
    *answer.status_mut() = status;
    let xml = HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, xml);
    answer
}

/// The same with one bit flipped: somewhere in the middle, another one for another `number`.
fn flip(body: &Bytes, number: u64) -> Bytes {
    let mut body = body.to_vec();
    let place = body.len() / 2 + usize::try_from(number).unwrap_or_default();
    if let Some(byte) = body.get_mut(place) {
        *byte ^= 1;
    }
    body.into()
}
