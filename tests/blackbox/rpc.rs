//! Any RPC of the contract called by its descriptor, over gRPC and over REST,
//! so that a test can walk all of them and a new one is not forgotten.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MethodDescriptor, Value, prost::Message,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value as Json};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use yuantus_proto::{
    FILE_DESCRIPTOR_SET,
    rest::{ROUTES, Route},
};
use yuantus_test_support::Api;

/// Every RPC of the contract.
pub fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let ours = pool.services().filter(|s| s.package_name() == "yuantus.controlplane.v1");
    let methods: Vec<_> = ours.flat_map(|s| s.methods().collect::<Vec<_>>()).collect();
    assert!(methods.len() >= 24, "the contract has RPCs");
    methods
}

/// The RPC as gRPC's path.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The first REST route of the RPC, which is the canonical one.
pub fn route(method: &MethodDescriptor) -> &'static Route {
    let path = path(method);
    ROUTES.iter().find(|route| route.rpc == path).unwrap_or_else(|| panic!("{path} has no route"))
}

/// Calls an RPC over gRPC with a request in JSON; answers the response, of a
/// stream its first message.
pub async fn grpc(
    api: &Api,
    method: &MethodDescriptor,
    request: &Json,
    token: Option<&str>,
) -> Result<DynamicMessage, Status> {
    grpc_with(api, method, request, token, &[]).await
}

/// As [`grpc`], with more metadata.
pub async fn grpc_with(
    api: &Api,
    method: &MethodDescriptor,
    request: &Json,
    token: Option<&str>,
    more: &[(&'static str, &'static str)],
) -> Result<DynamicMessage, Status> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
    let metadata: Vec<_> = bearer.into_iter().chain(more.iter().copied()).collect();
    grpc_as(api, method, request, &metadata).await
}

/// As [`grpc`], with nothing but this metadata.
pub async fn grpc_as(
    api: &Api,
    method: &MethodDescriptor,
    request: &Json,
    more: &[(&'static str, &str)],
) -> Result<DynamicMessage, Status> {
    let mut client = Grpc::new(api.channel());
    client.ready().await.expect("channel");
    let mut message = Request::new(message(method, request));
    for (name, value) in more {
        message.metadata_mut().insert(*name, value.parse().expect("metadata"));
    }
    let path = path(method).parse().expect("path");
    // A single answer is framed as a stream of one.
    let stream = client.server_streaming(message, path, AnyCodec(method.clone())).await?;
    let first = stream.into_inner().message().await?;
    Ok(first.expect("an answer"))
}

/// The REST request of an RPC with a request in JSON.
pub fn rest(
    http: &Client,
    api: &Api,
    method: &MethodDescriptor,
    request: &Json,
    token: Option<&str>,
) -> RequestBuilder {
    let route = route(method);
    let mut rest: Map<String, Json> = request.as_object().cloned().unwrap_or_default();
    let mut url = format!("{}{}", api.url, route.template);
    for field in method.input().fields() {
        let place = format!("{{{}}}", field.name());
        if url.contains(&place) {
            let value = rest.remove(field.name()).unwrap_or_default();
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            url = url.replace(&place, &utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string());
        }
    }
    let verb = Method::from_bytes(route.verb.as_bytes()).expect("verb");
    let built = http.request(verb, url);
    let built = match token {
        Some(token) => built.bearer_auth(token),
        None => built,
    };
    if route.verb == "GET" { built.query(&rest) } else { built.json(&rest) }
}

fn message(method: &MethodDescriptor, request: &Json) -> DynamicMessage {
    let mut message = DynamicMessage::new(method.input());
    for (name, value) in request.as_object().into_iter().flatten() {
        let field = method.input().get_field_by_name(name);
        let field = field.unwrap_or_else(|| panic!("{} has no {name}", method.input().name()));
        let integer = || i32::try_from(value.as_i64().expect("a number")).expect("32 bits");
        let value = match field.kind() {
            Kind::String if field.is_list() => {
                let texts = value.as_array().expect("a list").iter();
                let texts = texts.map(|text| Value::String(text.as_str().expect("a text").into()));
                Value::List(texts.collect())
            }
            Kind::String => Value::String(value.as_str().expect("a text").to_owned()),
            Kind::Bool => Value::Bool(value.as_bool().expect("yes or no")),
            Kind::Int32 => Value::I32(integer()),
            Kind::Enum(_) => Value::EnumNumber(integer()),
            other => panic!("no request has a {other:?}"),
        };
        message.set_field(&field, value);
    }
    message
}

/// A text field of an answer.
pub fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field).expect("field");
    value.as_str().expect("text").to_owned()
}

/// Encodes and decodes the messages of one RPC.
struct AnyCodec(MethodDescriptor);

impl Codec for AnyCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for AnyCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).expect("room");
        Ok(())
    }
}

impl Decoder for AnyCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let decoded = DynamicMessage::decode(self.0.output(), from);
        Ok(Some(decoded.expect("an answer of the contract")))
    }
}
