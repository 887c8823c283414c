//! From the ordered bytes of one connection to exchanges.
//!
//! In: chunks and gaps of both ways of a connection whose protocol is known, from [`crate::flow`]. Out:
//! [`crate::exchange::Exchange`]s with credentials masked ([`redact`]). Sans-IO: time is an argument. Refuses to
//! guess: what a gap made uncertain stays unpaired and says so.

pub(crate) mod body;
mod coding;
pub(crate) mod field;
mod graphql;
pub(crate) mod grpc;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod json;
mod jsonrpc;
pub mod operation;
pub(crate) mod recognise;
pub mod redact;
pub(crate) mod session;
mod soap;
pub(crate) mod start;
pub(crate) mod text;
mod upgrade;
mod websocket;
