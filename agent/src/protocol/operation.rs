//! What an exchange does, in the words of a protocol that HTTP carries.
//!
//! Found by the parsers of [`crate::protocol`] and kept with the exchange. Names are those of the interface (services,
//! methods, fields, tools): values of callers are never in them.

/// Longest operation name, in bytes. Overflow policy: the operation has no name.
pub const MAX_NAME_BYTES: usize = 256;

/// The operation of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name, where it has one: `pkg.Service/Method`, `query GetUser`, `tools/call search`.
    pub name: Option<Box<str>>,
    /// What else the protocol says.
    pub detail: Detail,
}

/// What a protocol says of its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// gRPC or gRPC-Web.
    Grpc(GrpcCall),
    /// GraphQL over HTTP.
    GraphQl(GraphQlCall),
    /// JSON-RPC 2.0.
    JsonRpc(JsonRpcCall),
    /// Model Context Protocol.
    Mcp(JsonRpcCall),
    /// SOAP 1.1 or 1.2.
    Soap,
    /// WebSocket (RFC 6455, RFC 8441).
    WebSocket(WebSocketCall),
    /// Server-sent events.
    Sse,
}

/// A gRPC call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcCall {
    /// gRPC-Web.
    pub is_web: bool,
    /// The call's own status (0 is success), from trailers or from a response of trailers alone. HTTP's status is in
    /// the response.
    pub status: Option<u32>,
    /// Messages of the client.
    pub requests: Messages,
    /// Messages of the server.
    pub responses: Messages,
}

impl GrpcCall {
    /// Whether more than one message went from the client, and from the server: the kind of streaming, as far as it
    /// was used.
    pub const fn streams(&self) -> (bool, bool) {
        (self.requests.count > 1, self.responses.count > 1)
    }
}

/// Messages of one way of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages {
    /// How many began.
    pub count: u64,
    /// Bytes in them, as they were sent: without prefixes, compressed if they were.
    pub bytes: u64,
    /// Size of the largest.
    pub largest: u64,
    /// None can have been missed.
    pub is_exact: bool,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            count: 0,
            bytes: 0,
            largest: 0,
            is_exact: true,
        }
    }
}

/// What a GraphQL request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphQlCall {
    /// `query`, `mutation` or `subscription`, of the operation that is executed.
    pub kind: Option<&'static str>,
    /// Names of the fields at the top, in order, at most 32.
    pub roots: Vec<Box<str>>,
    /// Operations in the request: more than one in a batch.
    pub batch: u32,
    /// The query is named by its hash.
    pub is_persisted: bool,
    /// It asks for the schema.
    pub is_introspection: bool,
}

/// What a JSON-RPC request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonRpcCall {
    /// Methods, in order, at most 32.
    pub methods: Vec<Box<str>>,
    /// Calls in the request: more than one in a batch.
    pub batch: u32,
    /// Error codes of the answer, at most 32.
    pub errors: Vec<i64>,
}

/// What was said over a WebSocket while its exchange was under way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebSocketCall {
    /// Messages of the client.
    pub client: WebSocketMessages,
    /// Messages of the server.
    pub server: WebSocketMessages,
    /// Names that messages in JSON give to what they do, by first appearance, at most 32.
    pub names: Vec<Box<str>>,
}

/// Messages of one way of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebSocketMessages {
    /// Messages of text.
    pub text: u64,
    /// Messages of bytes.
    pub binary: u64,
    /// Frames, those of control included.
    pub frames: u64,
    /// Bytes in frames of messages, as they were sent.
    pub bytes: u64,
    /// Messages that were compressed (RFC 7692).
    pub compressed: u64,
    /// Bytes in those.
    pub compressed_bytes: u64,
    /// Some may have been missed.
    pub is_cut: bool,
}
